"""
What an inference engine calls its readings.

A profile is data: the package has one file per engine, and a user adds an engine, or changes
some names of one (``extends``), in the configuration, in the same format and without code.
"""

import dataclasses
import importlib.resources
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from scaler.decision.sample import Replica
from scaler.errors import ConfigurationError, Problem
from scaler.readings.promql import Matcher, any_text
from scaler.readings.readings import Reading, Rows
from scaler.readings.spellings import Meaning, Renames, Spelling, meaning_of
from scaler.readings.written import Written

FIELDS = tuple(
    field.name
    for field in dataclasses.fields(Replica)
    if field.name not in ("name", "sleeping", "itl_buckets", "ttft_buckets")
    and not field.name.startswith("gpu_")
)
"""Fields of a replica that an engine may report."""

LIVE = ("requests_running", "requests_waiting")
"""A replica has a live engine series when one of these is fresh."""

COUNTERS = tuple(name for name in FIELDS if name.endswith(("_total", "_sum_s", "_count")))
"""Those of them that only rise while the engine runs."""

SHOWN_ONLY = frozenset(("e2e_sum_s", "e2e_count", "preemptions_total"))
"""Those that dashboards show, from the engine's own series, and no rule reads."""

_KEYS = (
    "extends",
    "over",
    "ranks",
    "allocates_up_front",
    "refresh_s",
    "gauges_leave",
    "prefixes",
    "unread",
    "readings",
    "awake",
    "progress",
    "prompt_lengths",
    "output_lengths",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class EngineProfile:
    """Where an engine's readings are found."""

    name: str
    readings: Mapping[str, Reading]
    """By field of :class:`~scaler.decision.sample.Replica`."""
    awake: Reading | None = None
    """Reads 0 while the engine sleeps (weights offloaded)."""
    progress: tuple[Reading, ...] = ()
    """What moves while the engine works, beside its counters; empty: a stuck engine cannot be
    told."""
    refresh_s: float = 0.0
    """How often the page changes, where that is known to be more seldom than it is scraped."""
    gauges_leave: bool = False
    """Gauges leave the page while nothing runs, counters stay."""
    prompt_lengths: tuple[Rows, ...] = ()
    """Histogram of prompt tokens per request: its ``_bucket`` series, newest name first."""
    output_lengths: tuple[Rows, ...] = ()
    """Likewise of generated tokens per request."""
    allocates_up_front: bool = False
    """The engine takes its GPU memory when it starts: memory in use says nothing of load."""
    prefixes: tuple[str, ...] = ()
    """What monitors of platforms put before all of its names."""
    unread: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    """By label: values of rows that a reading which picks its rows by that label is not made of."""

    @property
    def signs(self) -> Iterator[Reading]:
        """Readings of which an engine's page has at least one, also before its first request."""
        yield from (self.readings[field] for field in LIVE)
        if "generation_tokens_total" in self.readings:
            yield self.readings["generation_tokens_total"]
        if self.awake is not None:
            yield self.awake

    def unread_of(self, reading: Reading) -> tuple[Matcher, ...]:
        """
        Return the matchers that leave out rows which a reading is not made of.

        Only one that picks its rows by such a label leaves any out, and none that it picks: what
        another reading takes of the same metric is asked for beside it. The labels of all that
        pick are left out alike, so that one query asks for them.
        """
        picked = {
            pair for rows in (*reading.rows, *reading.plus, *reading.out_of) for pair in rows.match
        }
        if not self.unread.keys() & {label for label, _ in picked}:
            return ()
        left_out = {
            label: [value for value in sorted(values) if (label, value) not in picked]
            for label, values in sorted(self.unread.items())
            if label not in reading.over
        }
        return tuple((label, "!~", any_text(some)) for label, some in left_out.items() if some)

    @property
    def read_by_rules(self) -> Iterator[Reading]:
        """Every reading that an answer may rest on, those about sleep and progress included."""
        shown = self._shown
        yield from (reading for field, reading in self.readings.items() if field not in shown)
        yield from self.progress
        if self.awake is not None:
            yield self.awake

    @property
    def only_shown(self) -> Iterator[Reading]:
        """Readings that no answer rests on."""
        yield from (self.readings[field] for field in sorted(self._shown & self.readings.keys()))

    @property
    def _shown(self) -> frozenset[str]:
        """Fields that no answer rests on: none where nothing else would show that it lives."""
        moves = any(field in COUNTERS and field not in SHOWN_ONLY for field in self.readings)
        return SHOWN_ONLY if moves else frozenset()

    def spelled(self, renames: Renames = ()) -> "EngineProfile":
        """Return the profile with every name that each of its metrics is stored under."""
        spelling = Spelling(prefixes=self.prefixes, renames=renames)
        readings = {
            field: spelling.reading(reading, meaning_of(field))
            for field, reading in self.readings.items()
        }
        also_signs = {self.readings[field]: reading for field, reading in readings.items()}
        return dataclasses.replace(
            self,
            readings=readings,
            awake=None if self.awake is None else spelling.reading(self.awake),
            progress=tuple(
                also_signs.get(sign) or spelling.reading(sign, Meaning.COUNTER)
                for sign in self.progress
            ),
            prompt_lengths=spelling.rows(self.prompt_lengths),
            output_lengths=spelling.rows(self.output_lengths),
        )


def shipped_profiles() -> dict[str, EngineProfile]:
    """Return the profiles that come with the package, by name."""
    documents = {
        entry.name.removesuffix(".yaml"): yaml.safe_load(entry.read_text(encoding="utf-8"))
        for entry in importlib.resources.files(__package__).iterdir()
        if entry.name.endswith(".yaml")
    }
    return parse_profiles(documents)


def parse_profiles(
    documents: Mapping[str, Any],
    *,
    known: Mapping[str, EngineProfile] | None = None,
    renames: Renames = (),
) -> dict[str, EngineProfile]:
    """
    Read profiles, which may extend one another and ``known`` ones; returns known and read ones.

    Each metric of them is found under every name that it is stored under, those of ``renames``
    included.

    Raises:
        ConfigurationError: every problem of every document.
    """
    profiles = dict(known or {})
    problems: list[Problem] = []
    for name in _in_order_of_extension(documents):
        document = Written(f"engines.{name}", problems)
        profiles[name] = _profile(document, name, documents[name], profiles)
    if problems:
        raise ConfigurationError(*problems)
    return {name: profile.spelled(renames) for name, profile in profiles.items()}


def _in_order_of_extension(documents: Mapping[str, Any]) -> list[str]:
    """Return the names so that a profile comes after the one it extends."""

    def depth(name: str, seen: tuple[str, ...] = ()) -> int:
        document = documents.get(name)
        if not isinstance(document, Mapping) or name in seen:
            return 0
        return 1 + depth(str(document.get("extends", "")), (*seen, name))

    return sorted(documents, key=lambda name: (depth(name), name))


def _profile(
    document: Written, name: str, written: object, known: Mapping[str, EngineProfile]
) -> EngineProfile:
    fields = document.mapping("", written, _KEYS)
    parent = _parent(document, fields.get("extends"), known)
    over = document.texts("over", fields.get("over"))
    ranks = document.texts("ranks", fields.get("ranks"))
    named = document.mapping("readings", fields.get("readings", {}), FIELDS)
    readings = {
        **parent.readings,
        **{
            field: document.reading(f"readings.{field}", named[field], over, ranks)
            for field in named
        },
    }
    if not all(field in readings for field in LIVE):
        document.problem("readings", "no " + " and ".join(LIVE), "both, at least")
    awake = fields.get("awake")
    progress = tuple(
        readings.get(sign) or document.reading("progress", sign, over, ranks)
        for sign in document.texts("progress", fields.get("progress"))
    )
    return EngineProfile(
        name=name,
        readings=readings,
        awake=parent.awake if awake is None else document.reading("awake", awake, over, ranks),
        progress=progress or parent.progress,
        refresh_s=document.number("refresh_s", fields.get("refresh_s", parent.refresh_s)),
        gauges_leave=bool(fields.get("gauges_leave", parent.gauges_leave)),
        prompt_lengths=document.rows("prompt_lengths", fields.get("prompt_lengths"))
        or parent.prompt_lengths,
        output_lengths=document.rows("output_lengths", fields.get("output_lengths"))
        or parent.output_lengths,
        prefixes=document.texts("prefixes", fields.get("prefixes")) or parent.prefixes,
        unread=_unread(document, fields.get("unread", {})) or parent.unread,
        allocates_up_front=bool(fields.get("allocates_up_front", parent.allocates_up_front)),
    )


def _unread(document: Written, written: object) -> Mapping[str, tuple[str, ...]]:
    values = document.mapping("unread", written, None)
    return {label: document.texts(f"unread.{label}", some) for label, some in values.items()}


def _parent(document: Written, name: object, known: Mapping[str, EngineProfile]) -> EngineProfile:
    if name is not None and str(name) not in known:
        document.problem("extends", str(name), f"one of {', '.join(sorted(known))}")
    return known.get(str(name), EngineProfile(name="", readings={}))
