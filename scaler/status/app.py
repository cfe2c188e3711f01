"""
The HTTP side: probes, metrics, the decisions as JSON, and the page for people.

Reads the latest answers and nothing else; no request waits for a source or makes a decision, but
for the one that asks what would have been answered at a past time.
"""

import asyncio
import dataclasses
import json
import math
from collections.abc import Awaitable, Callable, Sequence

from aiohttp import web

from scaler.decision.decision import Decision
from scaler.documents.forms import read_instant
from scaler.errors import KvtideError
from scaler.report.decision_json import answer_json, instant
from scaler.settings import RUNBOOKS
from scaler.telemetry.observed import Observation, Standing
from scaler.telemetry.process import CONTENT_TYPE

from .banner import Links
from .object_page import Shown
from .pages import Pages, Seen
from .shared import Shared

MOST_WAITING = 8
"""Requests about the past at one time; each reads a lookback of its source."""
PAST_S = 60.0
"""The longest that one of them may take, waiting for its turn included."""
STUCK_AFTER_S = 60.0
"""No round of decisions for so long: the background loop is dead, and a restart is right."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What the pages read."""

    observations: Callable[[], Sequence[Observation]]
    """The latest answers, in order of namespace and name."""
    standing: Callable[[], Standing]
    exposition: Callable[[], bytes]
    """All metrics; called in a thread, since a thousand objects take a while."""
    clock: Callable[[], float]
    """Unix seconds."""
    past: Callable[[str, float], Awaitable[Decision]] | None = None
    """What would have been decided on an object at a time; None: the source keeps no past."""
    gather: Callable[[str, float], Awaitable[Shown]] | None = None
    """(Object, span in seconds) to its history and its pool; None: its page shows neither."""
    links: Links = dataclasses.field(default_factory=lambda: Links(runbooks=RUNBOOKS))
    pages: bool = True
    """Whether there are pages for people; probes, metrics and JSON are always there."""


def application(view: View) -> web.Application:
    """Return the application; its routes are those of the contract."""
    pages = _Pages(view)
    app = web.Application()
    if view.pages:
        people = Pages(
            Seen(
                observations=view.observations,
                standing=view.standing,
                clock=view.clock,
                links=view.links,
                gather=view.gather,
            )
        )
        app.router.add_get("/", people.overview)
        app.router.add_get("/objects/{namespace}/{name}", people.one)
    app.router.add_get("/healthz", pages.alive)
    app.router.add_get("/readyz", pages.ready)
    app.router.add_get("/metrics", pages.metrics)
    app.router.add_get("/api/decisions", pages.decisions)
    app.router.add_get("/api/decisions/{namespace}/{name}", pages.decision)
    return app


class _Pages:
    """One handler per route."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._exposition = Shared(view.exposition)
        self._all = Shared(self._decisions)
        self._one_at_a_time = asyncio.Semaphore(1)
        self._asked = 0
        """Requests about the past, those that wait among them."""

    async def alive(self, request: web.Request) -> web.Response:
        """Answer 200 while rounds of decisions go on: a slow source does not stop them."""
        age_s = self._view.clock() - self._view.standing().ticked_s
        if age_s > STUCK_AFTER_S:
            return web.Response(status=503, text=f"no round of decisions for {age_s:.0f} s\n")
        return web.Response(text="ok\n")

    async def ready(self, request: web.Request) -> web.Response:
        """Answer 200 after the first full read and until the drain."""
        standing = self._view.standing()
        if standing.draining:
            return web.Response(status=503, text="draining\n")
        if not standing.ready:
            failure = standing.failure or "under way"
            return web.Response(status=503, text=f"the first read of the source: {failure}\n")
        return web.Response(text="ok\n")

    async def metrics(self, request: web.Request) -> web.Response:
        body = await self._exposition.get()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    async def decisions(self, request: web.Request) -> web.Response:
        text = await self._all.get()
        return web.Response(text=text, content_type="application/json")

    def _decisions(self) -> str:
        answers = [answer(one) for one in self._view.observations()]
        told = {"at": instant(self._view.clock()), "cluster": self._view.standing().cluster}
        return json.dumps({**told, "decisions": answers})

    async def decision(self, request: web.Request) -> web.Response:
        key = f"{request.match_info['namespace']}/{request.match_info['name']}"
        found = next((one for one in self._view.observations() if one.key == key), None)
        if found is None:
            why = f"KEDA has not asked about {key} since this server started"
            return _refused(key, why, status=404)
        if "at" in request.query:
            return await self._answer_then(found, request.query["at"])
        return web.json_response({**answer(found), "cluster": self._view.standing().cluster})

    async def _answer_then(self, found: Observation, at: str) -> web.Response:
        """Answer as of a time: the one page that reads the source, one request at a time."""
        past = self._view.past
        try:
            at_s = read_instant(at)
        except ValueError:
            at_s = math.inf
        if past is None or not 0 <= at_s <= self._view.clock():
            why = "this server's source keeps no past" if past is None else f"no past time: {at!r}"
            return _refused(found.key, why, status=400)
        if self._asked >= MOST_WAITING:
            return _refused(found.key, "others are asking about the past already", status=429)
        self._asked += 1
        try:
            async with asyncio.timeout(PAST_S), self._one_at_a_time:
                decision = await past(found.key, at_s)
        except TimeoutError:
            return _refused(found.key, f"the past took more than {PAST_S:g} s", status=504)
        except KvtideError as error:
            return web.json_response(answer_json(found.key, found.role, error=error))
        finally:
            self._asked -= 1
        return web.json_response(answer_json(found.key, found.role, decision=decision))


def _refused(key: str, why: str, *, status: int) -> web.Response:
    body = {"object": key, "error": {"kind": "refused", "problems": [why]}}
    return web.json_response(body, status=status)


def answer(one: Observation) -> dict[str, object]:
    """Return the document of one object's answer."""
    role = None if one.role == "unknown" else one.role
    return answer_json(one.key, role, decision=one.decision, error=one.error)
