"""
A Prometheus written by hand: it scrapes pages when told to, and answers the queries kvtide sends.

The few forms of PromQL that are ever sent, over real HTTP on loopback. It can also be ill.
"""

import asyncio
import contextlib
import json
import math
import re
import ssl
import time
from collections.abc import AsyncIterator, Iterable

from aiohttp import web
from prometheus_client.parser import text_string_to_metric_families

Labels = dict[str, str]
Points = list[tuple[float, float]]

LOOKBACK_S = 300.0
_SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)?\{(?P<inside>.*)\}")
_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"')
_SECONDS = re.compile(r"\[(\d+)s\]")
_SUBQUERY = re.compile(r"\((?P<query>.*)\n\)\[(?P<seconds>\d+)s:(?P<step>\d+)s\]", re.DOTALL)
_RANGE = re.compile(r"(?P<selector>.*)\[(?P<seconds>\d+)s\]")
_EXISTS = re.compile(
    r'label_replace\(count\((?P<selector>.*)\),"(?P<label>\w+)","(?P<name>\w+)","",""\)'
)
_NAMES = re.compile(r"count by \(__name__\) \((?P<selector>.*)\)")
_SOME = re.compile(r"topk\((?P<count>\d+),(?P<selector>.*)\)")
_LAST = re.compile(r"last_over_time\((?P<range>.*)\)")
_SUM = re.compile(
    r"sum by \((?P<by>[\w,]*)\) \(label_replace\((?:max without \((?P<copies>[\w,]*)\) \()?"
    r'increase\((?P<range>.*?\])\)+,"stem","\$1\$2","(?P<pod>\w+)","(?P<stem>.*)"\)\)'
)


class FakePrometheus:
    """Series in memory, behind ``/api/v1/query``."""

    def __init__(self) -> None:
        self.url = ""
        self.queries: list[str] = []
        self.answer: web.Response | None = None
        """Given instead of an answer."""
        self.refuses: str | None = None
        """A query with this text in it is refused, as one that cannot be parsed is."""
        self.refuses_with = 400
        self.longest_s = math.inf
        """Longer ranges are more samples than it loads (--query.max-samples)."""
        self.delay_s = 0.0
        self.slow: dict[tuple[str, ...], float] = {}
        """Seconds that a query takes with these texts in it."""
        self.most_at_once = 0
        """Most queries that were under way together."""
        self._under_way = 0
        self.warnings: list[str] = []
        self.build: dict[str, str] | None = None
        """What its page of build information says; None: it has none."""
        self.tells_time = True
        """Answers queries by GET, of which the only one is for its time."""
        self.exact_names = False
        """Refuses a matcher on ``__name__`` other than an exact one, as Google's does."""
        self.drips = False
        """Answers a byte at a time, and never comes to an end."""
        self.headers: list[dict[str, str]] = []
        self.params: list[dict[str, str]] = []
        self._series: dict[tuple[tuple[str, str], ...], Points] = {}
        self._target_of: dict[tuple[tuple[str, str], ...], str] = {}
        self._scraped: dict[str, float] = {}

    def scrape(self, at_s: float, page: str | None, **target: str) -> None:
        """Take in a page, None if the target is down; its labels move the page's own aside."""
        place = json.dumps(target, sort_keys=True)
        self._scraped[place] = at_s
        self._add({"__name__": "up", **target}, at_s, 0.0 if page is None else 1.0, place)
        for family in text_string_to_metric_families(page or ""):
            for sample in family.samples:
                moved = {
                    (f"exported_{k}" if k in target else k): v for k, v in sample.labels.items()
                }
                labels = {"__name__": sample.name, **moved, **target}
                self._add(labels, at_s, float(sample.value), place)

    async def tell(self, request: web.Request) -> web.StreamResponse:
        """Answer what is asked by GET: what the server is, and what time it is."""
        if request.path.endswith("/buildinfo"):
            if self.build is None:
                return web.json_response({"error": "no such page"}, status=404)
            return web.json_response({"status": "success", "data": self.build})
        if not self.tells_time:
            return web.json_response({"error": "no such page"}, status=404)
        now = [time.time(), str(time.time())]  # noqa: TID251 -- a server's own clock
        return web.json_response({"data": {"resultType": "scalar", "result": now}})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.queries.append(form["query"])
        self.params.append(form)
        self.headers.append(dict(request.headers))
        self._under_way += 1
        self.most_at_once = max(self.most_at_once, self._under_way)
        slow_s = [s for texts, s in self.slow.items() if all(t in form["query"] for t in texts)]
        await asyncio.sleep(max((self.delay_s, *slow_s)))
        self._under_way -= 1
        if self.drips:
            return await _drip(request)
        if self.answer is not None:  # a response is one request's: each gets its own
            given = self.answer
            return web.Response(body=given.body, status=given.status, headers=given.headers)
        if self.refuses is not None and self.refuses in form["query"]:
            return web.json_response({"error": "bad query"}, status=self.refuses_with)
        if self.exact_names and "__name__=~" in form["query"]:
            error = {"error": "only exact matching on metric names is supported"}
            return web.json_response(error, status=400)
        if any(float(seconds) > self.longest_s for seconds in _SECONDS.findall(form["query"])):
            error = {"error": "query processing would load too many samples into memory"}
            return web.json_response(error, status=422)
        document: dict[str, object] = {"status": "success"}
        document["data"] = self.evaluate(form["query"], float(form["time"]))
        if self.warnings:
            document["warnings"] = self.warnings
        return web.json_response(document)

    def evaluate(self, query: str, at_s: float) -> dict[str, object]:
        if within := _SUBQUERY.fullmatch(query):
            result = self._stepped(within, at_s)
            return {"resultType": "matrix", "result": result}
        if summed := _SUM.fullmatch(query):
            return _vector(self._sum(summed, at_s), at_s)
        if query.startswith("label_replace(count("):
            found = [row for part in query.split(" or ") for row in self._exists(part, at_s)]
            return _vector(found, at_s)
        if query.startswith(("count by", "topk(")):
            return _vector([(labels, 1.0) for labels in self._listed(query, at_s)], at_s)
        if query.startswith("last_over_time("):
            rows = self._over(query.removeprefix("last_over_time(").removesuffix(")"), at_s)
            return _vector([(labels, points[-1][1]) for labels, points in rows], at_s)
        rows = self._over(query, at_s)
        result = [{"metric": labels, "values": _texts(points)} for labels, points in rows]
        return {"resultType": "matrix", "result": result}

    def _add(self, labels: Labels, at_s: float, value: float, place: str) -> None:
        key = tuple(sorted(labels.items()))
        self._series.setdefault(key, []).append((at_s, value))
        self._target_of[key] = place

    def _over(self, query: str, at_s: float) -> list[tuple[Labels, Points]]:
        parsed = _RANGE.fullmatch(query)
        assert parsed, f"the fake does not know the query {query}"
        since_s = at_s - float(parsed["seconds"])
        rows = []
        for key, points in self._series.items():
            inside = [point for point in points if since_s < point[0] <= at_s]
            if inside and _matches(dict(key), parsed["selector"]):
                rows.append((dict(key), inside))
        return rows

    def _exists(self, query: str, at_s: float) -> list[tuple[Labels, float]]:
        parsed = _EXISTS.fullmatch(query)
        assert parsed, f"the fake does not know the query {query}"
        if within := _LAST.fullmatch(parsed["selector"]):
            count = len(self._over(within["range"], at_s))
            return [({parsed["label"]: parsed["name"]}, float(count))] if count else []
        count = len(self._now(parsed["selector"], at_s))
        return [({parsed["label"]: parsed["name"]}, float(count))] if count else []

    def _listed(self, query: str, at_s: float) -> list[Labels]:
        """Return what names there are, or some series."""
        if listed := _NAMES.fullmatch(query):
            names = {labels["__name__"] for labels in self._now(listed["selector"], at_s)}
            return [{"__name__": name} for name in sorted(names)]
        some = _SOME.fullmatch(query)
        assert some, f"the fake does not know the query {query}"
        return self._now(some["selector"], at_s)[: int(some["count"])]

    def _now(self, selector: str, at_s: float) -> list[Labels]:
        """Return the labels of the series that an instant query would find."""
        found = []
        for key, points in self._series.items():
            last = [point for point in points if at_s - LOOKBACK_S < point[0] <= at_s][-1:]
            gone = last and last[0][0] < self._scraped[self._target_of[key]] <= at_s
            if last and not gone and _matches(dict(key), selector):
                found.append(dict(key))
        return found

    def _stepped(self, within: re.Match[str], at_s: float) -> list[dict[str, object]]:
        """Return what a query says at each multiple of a step within a time."""
        step_s, since_s = int(within["step"]), at_s - int(within["seconds"])
        rows: dict[str, tuple[object, list[object]]] = {}
        for number in range(math.floor(since_s / step_s) + 1, math.floor(at_s / step_s) + 1):
            found = self.evaluate(within["query"], number * step_s)["result"]
            for one in found:  # type: ignore[attr-defined]
                row = rows.setdefault(json.dumps(one["metric"]), (one["metric"], []))
                row[1].append([number * step_s, one["value"][1]])
        return [{"metric": metric, "values": values} for metric, values in rows.values()]

    def _sum(self, parsed: re.Match[str], at_s: float) -> list[tuple[Labels, float]]:
        copies = (parsed["copies"] or "").split(",")
        apart: dict[tuple[tuple[str, str], ...], float] = {}
        for labels, points in self._over(parsed["range"], at_s):
            kept = {k: v for k, v in labels.items() if k not in copies and k != "__name__"}
            key = tuple(sorted(kept.items()))
            apart[key] = max(apart.get(key, 0.0), points[-1][1] - points[0][1])
        sums: dict[tuple[tuple[str, str], ...], float] = {}
        pattern = parsed["stem"].replace("\\\\", "\\")
        for key, increase in apart.items():
            labels = dict(key)
            if stem := re.fullmatch(pattern, labels.get(parsed["pod"], "")):
                labels["stem"] = stem[1] or stem[2]
            group = _group(labels, parsed["by"])
            sums[group] = sums.get(group, 0.0) + increase
        return [(dict(group), total) for group, total in sums.items()]


@contextlib.asynccontextmanager
async def fake_prometheus(
    fake: FakePrometheus | None = None, port: int = 0, tls: ssl.SSLContext | None = None
) -> AsyncIterator[FakePrometheus]:
    """Run a fake; one that ran before with what it has, where it is given."""
    fake = fake or FakePrometheus()
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_post("/api/v1/query", fake.handle)
    app.router.add_get("/api/v1/{page:query|status/buildinfo}", fake.tell)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, ssl_context=tls).start()
    fake.url = f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield fake
    finally:
        await runner.cleanup()


async def _drip(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        while True:
            await response.write(b" ")
            await asyncio.sleep(0.02)
    return response


def _matches(labels: Labels, selector: str) -> bool:
    parsed = _SELECTOR.fullmatch(selector)
    assert parsed, f"the fake does not know the selector {selector}"
    if parsed["name"] and labels["__name__"] != parsed["name"]:
        return False
    return all(
        _holds(labels.get(label, ""), operator, value.replace("\\\\", "\\").replace('\\"', '"'))
        for label, operator, value in _MATCHER.findall(parsed["inside"])
    )


def _holds(text: str, operator: str, value: str) -> bool:
    same = text == value if operator in ("=", "!=") else bool(re.fullmatch(value, text))
    return same is (operator in ("=", "=~"))


def _group(labels: Labels, by: str) -> tuple[tuple[str, str], ...]:
    return tuple((label, labels[label]) for label in by.split(",") if labels.get(label))


def _vector(rows: Iterable[tuple[Labels, float]], at_s: float) -> dict[str, object]:
    result = [{"metric": labels, "value": [at_s, str(value)]} for labels, value in rows]
    return {"resultType": "vector", "result": result}


def _texts(points: Points) -> list[tuple[float, str]]:
    return [(at_s, str(value)) for at_s, value in points]
