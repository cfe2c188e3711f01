"""
What an inference engine calls its readings.

A profile is data: the package has one file per engine, and a user adds an engine, or changes
some names of one (``extends``), in the configuration, in the same format and without code.
"""

import dataclasses
import difflib
import importlib.resources
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from scaler.decision.sample import Replica
from scaler.errors import ConfigurationError, Problem
from scaler.sources.readings import Combine, Reading, Rows

FIELDS = tuple(
    field.name
    for field in dataclasses.fields(Replica)
    if field.name not in ("name", "sleeping") and not field.name.startswith("gpu_")
)
"""Fields of a replica that an engine may report."""

LIVE = ("requests_running", "requests_waiting")
"""A replica has a live engine series when one of these is fresh."""

_KEYS = (
    "extends",
    "over",
    "allocates_up_front",
    "readings",
    "awake",
    "progress",
    "prompt_lengths",
    "output_lengths",
)
_READING_KEYS = ("metrics", "over", "combine", "scale", "label", "out_of")


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineProfile:
    """Where an engine's readings are found."""

    name: str
    readings: Mapping[str, Reading]
    """By field of :class:`~scaler.decision.sample.Replica`."""
    awake: Reading | None = None
    """Reads 0 while the engine sleeps (weights offloaded)."""
    progress: tuple[str, ...] = ()
    """Readings that move while the engine works; empty: a stuck engine cannot be told."""
    prompt_lengths: tuple[str, ...] = ()
    """Histogram of prompt tokens per request: names of its ``_bucket`` series, newest first."""
    output_lengths: tuple[str, ...] = ()
    """Likewise of generated tokens per request."""
    allocates_up_front: bool = False
    """The engine takes its GPU memory when it starts: memory in use says nothing of load."""

    @property
    def all_readings(self) -> Iterator[Reading]:
        """Every reading, the one about sleep included."""
        yield from self.readings.values()
        if self.awake is not None:
            yield self.awake


def shipped_profiles() -> dict[str, EngineProfile]:
    """Return the profiles that come with the package, by name."""
    documents = {
        entry.name.removesuffix(".yaml"): yaml.safe_load(entry.read_text(encoding="utf-8"))
        for entry in importlib.resources.files(__package__).iterdir()
        if entry.name.endswith(".yaml")
    }
    return parse_profiles(documents)


def parse_profiles(
    documents: Mapping[str, Any], *, known: Mapping[str, EngineProfile] | None = None
) -> dict[str, EngineProfile]:
    """
    Read profiles, which may extend one another and ``known`` ones; returns known and read ones.

    Raises:
        ConfigurationError: every problem of every document.
    """
    profiles = dict(known or {})
    problems: list[Problem] = []
    for name in _in_order_of_extension(documents):
        parser = _Parser(f"engines.{name}", problems)
        profiles[name] = parser.profile(name, documents[name], profiles)
    if problems:
        raise ConfigurationError(*problems)
    return profiles


def _in_order_of_extension(documents: Mapping[str, Any]) -> list[str]:
    """Return the names so that a profile comes after the one it extends."""

    def depth(name: str, seen: tuple[str, ...] = ()) -> int:
        document = documents.get(name)
        if not isinstance(document, Mapping) or name in seen:
            return 0
        return 1 + depth(str(document.get("extends", "")), (*seen, name))

    return sorted(documents, key=lambda name: (depth(name), name))


class _Parser:
    """Reads one document and gathers what is wrong with it."""

    def __init__(self, where: str, problems: list[Problem]) -> None:
        self.where = where
        self.problems = problems

    def profile(
        self, name: str, document: object, known: Mapping[str, EngineProfile]
    ) -> EngineProfile:
        fields = self._mapping("", document, _KEYS)
        parent = self._parent(fields.get("extends"), known)
        over = self._texts("over", fields.get("over"))
        named = self._mapping("readings", fields.get("readings", {}), FIELDS)
        readings = {
            **parent.readings,
            **{field: self._reading(f"readings.{field}", named[field], over) for field in named},
        }
        if not all(field in readings for field in LIVE):
            self._problem("readings", "no " + " and ".join(LIVE), "both, at least")
        awake = fields.get("awake")
        progress = self._texts("progress", fields.get("progress"))
        for field in progress:
            if field not in readings:
                self._problem("progress", field, f"readings of this engine: {', '.join(readings)}")
        return EngineProfile(
            name=name,
            readings=readings,
            awake=parent.awake if awake is None else self._reading("awake", awake, over),
            progress=progress or parent.progress,
            prompt_lengths=self._texts("prompt_lengths", fields.get("prompt_lengths"))
            or parent.prompt_lengths,
            output_lengths=self._texts("output_lengths", fields.get("output_lengths"))
            or parent.output_lengths,
            allocates_up_front=bool(fields.get("allocates_up_front", parent.allocates_up_front)),
        )

    def _parent(self, name: object, known: Mapping[str, EngineProfile]) -> EngineProfile:
        if name is not None and name not in known:
            self._problem("extends", str(name), f"one of {', '.join(sorted(known))}")
        return known.get(str(name), EngineProfile(name="", readings={}))

    def _reading(self, where: str, written: object, over: tuple[str, ...]) -> Reading:
        if isinstance(written, str):
            written = {"metrics": written}
        fields = self._mapping(where, written, _READING_KEYS)
        rows = self._rows(f"{where}.metrics", fields.get("metrics"))
        if not rows:
            self._problem(f"{where}.metrics", "nothing", "the name of a metric, or a list of names")
        combine = fields.get("combine", Combine.SUM)
        if combine not in tuple(Combine):
            self._problem(f"{where}.combine", str(combine), ", ".join(Combine))
            combine = Combine.SUM
        scale = fields.get("scale", 1.0)
        if not isinstance(scale, int | float) or not scale > 0:
            self._problem(f"{where}.scale", str(scale), "a number above 0")
            scale = 1.0
        label = fields.get("label")
        return Reading(
            rows=rows,
            over=self._texts(f"{where}.over", fields["over"]) if "over" in fields else over,
            combine=Combine(combine),
            scale=float(scale),
            label=None if label is None else str(label),
            out_of=self._rows(f"{where}.out_of", fields.get("out_of")),
        )

    def _rows(self, where: str, written: object) -> tuple[Rows, ...]:
        alternatives = written if isinstance(written, list) else [written]
        rows = []
        for alternative in alternatives:
            if alternative is None:
                continue
            if isinstance(alternative, str):
                rows.append(Rows(metric=alternative))
                continue
            fields = self._mapping(where, alternative, ("metric", "match"))
            match = self._mapping(f"{where}.match", fields.get("match", {}), None)
            rows.append(
                Rows(
                    metric=str(fields.get("metric", "")),
                    match=tuple((str(label), str(value)) for label, value in match.items()),
                )
            )
        return tuple(rows)

    def _texts(self, where: str, written: object) -> tuple[str, ...]:
        if written is None:
            return ()
        texts = written if isinstance(written, list) else [written]
        if not all(isinstance(text, str) and text for text in texts):
            self._problem(where, str(written), "a text, or a list of texts")
            return ()
        return tuple(texts)

    def _mapping(
        self, where: str, written: object, allowed: tuple[str, ...] | None
    ) -> Mapping[str, Any]:
        if not isinstance(written, Mapping):
            self._problem(where, str(written), "a mapping")
            return {}
        for key in written:
            if allowed is not None and key not in allowed:
                close = difflib.get_close_matches(str(key), allowed, n=1)
                hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(allowed)}"
                self._problem(f"{where}.{key}".removeprefix("."), "an unknown key", hint)
        return {
            str(key): value for key, value in written.items() if allowed is None or key in allowed
        }

    def _problem(self, where: str, got: str, allowed: str) -> None:
        field = f"{self.where}.{where}" if where else self.where
        self.problems.append(Problem(field=field, got=got, allowed=allowed))
