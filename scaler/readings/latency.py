"""
What a step of an engine costs, fitted from a file of measured steps: batch, tokens, latency.

A CSV with the header ``batch, prompt_tokens, latency_s`` and, if rows are means, ``steps``: how
many steps a row is the mean of. ``batch`` counts the requests that got a token in the step,
``prompt_tokens`` the prompt tokens computed in it (0 while only decoding), ``latency_s`` is the
time from step to step. The fit is the decision's own (:func:`scaler.decision.steps.fit`), so that
a simulated engine and the law of work mean the same by a, b and c.

What must stay true: measurements that cannot tell the three costs apart give an error, not a guess.
"""

import csv
import dataclasses
import io
import pathlib
from collections.abc import Mapping

import numpy as np

from scaler.decision.policy import StepCost
from scaler.decision.steps import LEAST_BUCKETS, Busy, Mix, fit, median
from scaler.errors import ConfigurationError, Problem
from scaler.files import read_text

_COLUMNS = ("batch", "prompt_tokens", "latency_s")
_NO_MIX = Mix(prompt_tokens=0.0, output_tokens=0.0)
_APART = (
    f"at least {LEAST_BUCKETS} rows that tell a + b·batch + c·prompt_tokens apart: small and large "
    "batches with and without prompt tokens, and latencies that rise with both"
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSteps:
    """The costs that a file of measured steps tells, and how well they fit it."""

    cost: StepCost
    rows: int
    median_error: float
    """Half of the rows are off by less than this share of their latency."""
    largest_error: float


def measured_steps(path: pathlib.Path) -> MeasuredSteps:
    """
    Fit the cost of a step to a file of measured steps.

    Raises:
        ConfigurationError: it cannot be read, or does not tell the costs apart.
    """
    rows = _rows(path)
    cost = fit(rows, _NO_MIX)
    if cost is None:
        got = f"{len(rows.steps)} rows"
        raise ConfigurationError(Problem(field=str(path), got=got, allowed=_APART))
    expected_s = cost.a_s * rows.steps + cost.b_s * rows.generated + cost.c_s * rows.prompt
    errors = np.abs(expected_s / rows.seconds - 1)
    return MeasuredSteps(
        cost=cost,
        rows=len(rows.steps),
        median_error=median(errors),
        largest_error=float(errors.max()),
    )


def _rows(path: pathlib.Path) -> Busy:
    try:
        reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
        columns = reader.fieldnames or ()
        rows = list(reader)
    except csv.Error as error:
        problem = Problem(field=str(path), got=str(error), allowed="a readable CSV file")
        raise ConfigurationError(problem) from error
    if missing := [name for name in _COLUMNS if name not in columns]:
        got = (
            f"the header lacks {', '.join(missing)}; the columns are batch, prompt_tokens,"
            " latency_s, and steps if rows are means"
        )
        raise ConfigurationError(Problem(field=str(path), got=got))
    problems = [
        Problem(field=f"{path}, row {number}, {name}", got=repr(row[name]), allowed=allowed)
        for number, row in enumerate(rows, start=1)
        for name, allowed in (*_ALLOWED.items(), *(_STEPS.items() if "steps" in columns else ()))
        if not _is_allowed(row[name], name)
    ]
    if problems:
        raise ConfigurationError(*problems[:MOST_TOLD])
    return Busy(*np.array([_row(one) for one in rows]).reshape(-1, 4).T)


MOST = 1e12
"""Of anything that is measured; NaN and infinities are more, or nothing."""
MOST_TOLD = 100
"""Wrong fields of one file that are told."""
_ALLOWED = {
    "batch": "requests in the step, above 0",
    "prompt_tokens": "prompt tokens computed in the step, 0 or more",
    "latency_s": "seconds of the step, above 0",
}
_STEPS = {"steps": "steps that the row is the mean of, above 0"}


def _is_allowed(text: str | None, name: str) -> bool:
    try:
        value = float(text or "")
    except ValueError:
        return False
    return value < MOST and (value > 0 or (name == "prompt_tokens" and value == 0))


def _row(row: Mapping[str, str]) -> tuple[float, float, float, float]:
    """Return seconds, steps, tokens generated and prompt tokens of a row."""
    steps = float(row.get("steps", "1"))
    batch, prompt_tokens, latency_s = (float(row[name]) for name in _COLUMNS)
    return latency_s * steps, steps, batch * steps, prompt_tokens * steps
