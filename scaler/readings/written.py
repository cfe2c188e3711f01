"""
Readings as people write them: in the data files of engines and gateways, and in the configuration.

A metric's name will do (``vllm:num_requests_running``); a mapping says more. Every problem is
gathered with its path, and reading goes on, so that all of a document come at once.
"""

import difflib
import math
from collections.abc import Mapping
from typing import Any

from scaler.errors import Problem

from .readings import Combine, Reading, Rows

_READING_KEYS = ("metrics", "plus", "over", "combine", "scale", "label", "out_of")


class Written:
    """A document being read, and what is wrong with it."""

    def __init__(self, where: str, problems: list[Problem]) -> None:
        self.where = where
        self.problems = problems

    def reading(
        self,
        where: str,
        written: object,
        over: tuple[str, ...],
        ranks: tuple[str, ...] | None = None,
    ) -> Reading:
        if isinstance(written, str):
            written = {"metrics": written}
        fields = self.mapping(where, written, _READING_KEYS)
        rows = self.rows(f"{where}.metrics", fields.get("metrics"))
        if not rows:
            self.problem(f"{where}.metrics", "nothing", "the name of a metric, or a list of names")
        combine = fields.get("combine", Combine.SUM)
        if combine not in tuple(Combine):
            self.problem(f"{where}.combine", str(combine), ", ".join(Combine))
            combine = Combine.SUM
        scale = fields.get("scale", 1.0)
        if not isinstance(scale, int | float) or not scale > 0:
            self.problem(f"{where}.scale", str(scale), "a number above 0")
            scale = 1.0
        label = fields.get("label")
        return Reading(
            rows=rows,
            over=self.texts(f"{where}.over", fields["over"]) if "over" in fields else over,
            combine=Combine(combine),
            scale=float(scale),
            label=None if label is None else str(label),
            out_of=self.rows(f"{where}.out_of", fields.get("out_of")),
            plus=self.rows(f"{where}.plus", fields.get("plus")),
            ranks=ranks,
        )

    def rows(self, where: str, written: object) -> tuple[Rows, ...]:
        alternatives = written if isinstance(written, list) else [written]
        rows = []
        for alternative in alternatives:
            if alternative is None:
                continue
            if isinstance(alternative, str):
                rows.append(Rows(metric=alternative))
                continue
            fields = self.mapping(where, alternative, ("metric", "match"))
            match = self.mapping(f"{where}.match", fields.get("match", {}), None)
            rows.append(
                Rows(
                    metric=str(fields.get("metric", "")),
                    match=tuple((str(label), str(value)) for label, value in match.items()),
                )
            )
        return tuple(rows)

    def texts(self, where: str, written: object) -> tuple[str, ...]:
        if written is None:
            return ()
        texts = written if isinstance(written, list) else [written]
        if not all(isinstance(text, str) and text for text in texts):
            self.problem(where, str(written), "a text, or a list of texts")
            return ()
        return tuple(texts)

    def number(self, where: str, written: object) -> float:
        if isinstance(written, int | float) and 0 <= written < math.inf:
            return float(written)
        self.problem(where, str(written), "a number, 0 or more")
        return 0.0

    def mapping(
        self, where: str, written: object, allowed: tuple[str, ...] | None
    ) -> Mapping[str, Any]:
        if not isinstance(written, Mapping):
            self.problem(where, str(written), "a mapping")
            return {}
        for key in written:
            if allowed is not None and key not in allowed:
                close = difflib.get_close_matches(str(key), allowed, n=1)
                hint = f"did you mean {close[0]}?" if close else f"one of {', '.join(allowed)}"
                self.problem(f"{where}.{key}".removeprefix("."), "an unknown key", hint)
        return {
            str(key): value for key, value in written.items() if allowed is None or key in allowed
        }

    def problem(self, where: str, got: str, allowed: str) -> None:
        field = f"{self.where}.{where}" if where else self.where
        self.problems.append(Problem(field=field, got=got, allowed=allowed))
