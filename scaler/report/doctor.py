"""What is there of each ScaledObject, as a person reads it; nothing is computed here."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]


def doctor_text(document: Document) -> str:
    """Return the servers, the objects, and in the last line whether all can be decided."""
    blocks = [
        *(_server(name, one) for name, one in document["servers"].items()),
        *(_object(one) for one in document["objects"]),
    ]
    undecided = [one["object"] for one in document["objects"] if one["replicas"] is None]
    last = "a decision can be made for every object"
    if not document["objects"]:
        last = "no ScaledObject was looked at: give files, or a cluster that has some"
    if undecided:
        last = f"no decision can be made for {', '.join(undecided)}"
    return "\n\n".join([*blocks, last])


def _server(name: str, one: Document) -> str:
    head = f"server {name}: {one['url']}"
    if one["error"] is not None:
        return f"{head}\n  {one['error']}"
    rows = [
        ("is", " ".join(part for part in (one["kind"], one["version"]) if part)),
        ("clock", _clock(one["clock_ahead_s"])),
        ("samples", _visible(one)),
        ("cluster", _there(one["kube_state_metrics"], "kube-state-metrics", _NO_CLUSTER)),
        ("GPUs", _there(one["dcgm_exporter"], "DCGM's exporter", _NO_GPUS)),
    ]
    if one["objects_served"] is not None:
        rows.append(("kvtide", one["warning"] or f"{one['objects_served']} ScaledObjects served"))
    if one["exact_names"]:
        rows.append(("names", "asked one by one: it takes exact ones only"))
    return "\n".join([head, *_columns(rows)])


_NO_CLUSTER = "replicas, cold starts, bounds and GPUs per replica are the API's to tell, or unknown"
_NO_GPUS = "gpu-memory and gpu-utilization abstain"


def _clock(ahead_s: float | None) -> str:
    if ahead_s is None:
        return "not told"
    if abs(ahead_s) < 1:
        return f"within {max(abs(ahead_s), 0.01):.2f} s of this one"
    where = "ahead of" if ahead_s > 0 else "behind"
    return f"{abs(ahead_s):.1f} s {where} this one: ages and windows are off by as much"


def _visible(one: Document) -> str:
    late_s, delay_s = one["visible_after_s"], one["ingestion_delay_s"]
    if not one["watched_s"]:
        return "not watched (--watch)"
    if late_s is None:
        return f"no new one was seen in {one['watched_s']:g} s"
    said = f"visible up to {late_s:.1f} s after their scrape"
    if late_s <= delay_s:
        return f"{said} (ingestionDelay {delay_s:g} s)"
    return f"{said}: later than ingestionDelay ({delay_s:g} s), which should be raised"


def _there(found: bool, name: str, without: str) -> str:  # noqa: FBT001 -- what was found
    return f"{name} is there" if found else f"{name} was not found: {without}"


def _object(one: Document) -> str:
    lines = [f"{one['object']} ({one['target']}, server {one['server']})"]
    answer = "hold what is" if one["replicas"] is None else str(one["replicas"])
    rows = [("decision", f"{answer} ({one['reason']}): {one['detail']}")]
    if "engine" in one:
        rows += _facts(one)
    if (between := one.get("between_scrapes")) is not None:
        rows.append(("pages", _between(between)))
    lines += _columns(rows)
    if "engine" in one:
        lines += ["", *_readings(one)]
    return "\n".join(lines)


def _facts(one: Document) -> Iterator[tuple[str, str]]:
    pods = one["pods"]
    shown = ", ".join(pods[:3]) + (", …" if len(pods) > 3 else "")
    yield "engine", one["engine"]
    yield "pods", f"{len(pods)}, {one['up']} up{f': {shown}' if pods else ''}"
    if one["named_by"]:
        yield "labels", f"{', '.join(one['named_by'])} name them"
    if one["instead"] and one["instead"] not in one["detail"]:
        yield "instead", one["instead"]
    late = [found for found in one["readings"] if _is_late(found, one["stale_after_s"])]
    if late:
        oldest_s = max(found["age_s"] for found in late)
        stale_s = one["stale_after_s"]
        which = ", ".join(found["field"] for found in late)
        yield "late", f"up to {oldest_s:.1f} s old, and stale after {stale_s:g} s: {which}"
    for copies in one["copies"]:
        values = ", ".join(value or "(none)" for value in copies["values"])
        label = copies["label"]
        several = f"series come several times, told apart by {label} ({values}), and count once"
        yield "copies", f"{several}; replicaLabels: [{label}] counts token lengths once, too"
    yield "gateway", _gateway(one)


def _between(one: Document) -> str:
    """Say whether the pods' own pages are read, and what to look at where they are not."""
    if one["pods"] is None:
        return (
            f"port {one['port']} is stated, and no kvtide tells here that it reads pods between"
            " scrapes: is directScrape on (kubernetes.directScrape.enabled of the chart), and is"
            " kvtide scraped?"
        )
    read, unread = one["pods"].get("read", 0), one["pods"].get("unread", 0)
    if read and not unread:
        return f"of {read} pods read between scrapes, on port {one['port']}"
    if unread:
        return (
            f"{unread} of {read + unread} pods are not read on port {one['port']}: is it their"
            " metrics' port, do NetworkPolicies let the scaler in (and out:"
            " kubernetes.directScrape.ports), are there more than 100 pods?"
        )
    return (
        "no pod is read between scrapes: none is ready, the Kubernetes API does not tell of them"
        " (hostNetwork, rights), or there are too many; the scaler's log says which"
    )


def _is_late(found: Document, stale_after_s: float) -> bool:
    return bool(found["series"]) and found["age_s"] > stale_after_s


def _gateway(one: Document) -> str:
    if one["gateway"] is None and one["arrival_query"] is not None:
        return f"none is named; the query {one['arrival_query']} counts arrivals"
    if one["gateway"] is None:
        return "none is named: nothing would wake it from zero"
    there = [found for found in one["gateway"] if found["series"]]
    if not there:
        names = ", ".join(dict.fromkeys(found["name"] for found in one["gateway"]))
        why = one["gateway_instead"] or "see its gatewaySelector"
        return f"{one['gateway_name']}: no series of {names} is selected; {why}"
    told = ", ".join(f"{found['field']} ({found['name']}, {found['series']})" for found in there)
    return f"{one['gateway_name']}: {told}"


def _readings(one: Document) -> Iterator[str]:
    found = [reading for reading in (*one["readings"], *one["gpus"]) if reading["series"]]
    if not found:
        yield "  none of its readings was found"
        return
    yield from _columns(
        [
            ("reading", "series", "age", "every", "stored as"),
            *(
                (
                    reading["field"],
                    str(reading["series"]),
                    f"{round(reading['age_s'], 1) + 0.0:.1f} s",  # never -0.0
                    "" if reading["interval_s"] is None else f"{reading['interval_s']:g} s",
                    reading["name"],
                )
                for reading in found
            ),
        ]
    )
    for missing in one["missing"]:
        yield f"  without {', '.join(missing['readings'])}: {missing['switches_off']}"


def _columns(rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    """Yield rows indented, all but the last column padded to the longest of its texts."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]) - 1)]
    for row in rows:
        padded = (text.ljust(width) for text, width in zip(row, widths, strict=False))
        yield "  " + "  ".join([*padded, row[-1]]).rstrip()
