"""The few queries that are sent, as text: ranges of raw samples or of a query, and two sums."""

import math
import re
import string
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple

Matcher = tuple[str, str, str]
"""Label, operator (``=``, ``!=``, ``=~``, ``!~``), value."""


_LEXED = re.compile(
    r"""(?P<comment>\#[^\n]*)|(?P<string>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`[^`]*`)""",
    re.DOTALL,
)
"""What of PromQL may hold anything: comments and strings."""
EXISTS = "found"
"""The label of what :func:`exists` answers with."""


def selector(metrics: Sequence[str], matchers: Iterable[Matcher] = ()) -> str:
    """Return a selector of one metric, of several by their exact names, or of any (none given)."""
    inside = [f"{label}{operator}{quoted(value)}" for label, operator, value in matchers]
    if not metrics:
        return f"{{{','.join(inside)}}}"
    if len(metrics) == 1 and "." not in metrics[0]:
        return f"{metrics[0]}{{{','.join(inside)}}}"
    if len(metrics) == 1:
        return f"{{{','.join([f'__name__={quoted(metrics[0])}', *inside])}}}"
    return f"{{{','.join([f'__name__=~{quoted(any_of(metrics))}', *inside])}}}"


def raw(chosen: str, seconds: float) -> str:
    """Return the query for raw samples of the last seconds, with their own timestamps."""
    return f"{chosen}[{max(1, math.ceil(seconds))}s]"


def last(chosen: str, seconds: float) -> str:
    """Return the query for the last sample of each series that had one in the last seconds."""
    return f"last_over_time({raw(chosen, seconds)})"


def over(query: str, seconds: float, *, step_s: float) -> str:
    """
    Return the query for what another says at each multiple of a step within the last seconds.

    The other may end in a comment, hence the line of its own.
    """
    return f"({query}\n)[{max(1, math.ceil(seconds))}s:{max(1, round(step_s))}s]"


class Stem(NamedTuple):
    """The part of a pod's name that its controller gave to all of them."""

    pattern: str
    """Its regular expression, in one of two groups."""
    pod: str
    """The label that names the pod."""


def increase_by(
    chosen: str,
    seconds: float,
    *,
    stem: Stem,
    by: Sequence[str],
    copies: Sequence[str] = (),
    of_copies: str = "max",
    joined: str | None = None,
) -> str:
    """
    Return the query for the increase of a histogram's buckets, added over pods of one stem.

    The stem is called ``stem`` in ``by``. Series that differ only in ``copies`` are one, by the
    largest or, where there is no such thing, their mean (``of_copies``); labels of
    ``by`` and the pod that they lack are those of the series ``joined`` of their job and instance.
    """
    increase = f"increase({raw(chosen, seconds)})"
    if copies:
        increase = f"{of_copies} without ({','.join(copies)}) ({increase})"
    if joined is not None:
        increase = f"{increase} * on (job,instance) group_left({by[0]},{stem.pod}) {joined}"
    named = f'label_replace({increase},"stem","$1$2",{quoted(stem.pod)},{quoted(stem.pattern)})'
    return f"sum by ({','.join(by)}) ({named})"


def exists(chosen: str, name: str) -> str:
    """Return the query for whether there is any such series now: one row that bears a name."""
    return f'label_replace(count({chosen}),"{EXISTS}",{quoted(name)},"","")'


def names(chosen: str) -> str:
    """Return the query for the names of all metrics that a selector has series of now."""
    return f"count by (__name__) ({chosen})"


def some(chosen: str, count: int) -> str:
    """Return the query for a few of the series that a selector has now."""
    return f"topk({count},{chosen})"


def any_of(names: Iterable[str]) -> str:
    """
    Return the regular expression that matches exactly these names, which Kubernetes allows.

    There is no backslash in it: it means the same in each of PromQL's three kinds of quotes.
    """
    return "|".join(name.replace(".", "[.]") for name in sorted(names))


def any_text(texts: Iterable[str]) -> str:
    """Return the regular expression of exactly these texts, without a backslash as well."""
    return "|".join(re.sub(r"([.+*?()|{}\[$])", r"[\1]", text) for text in sorted(texts))


def filled(query: str, names: Mapping[str, Collection[str]]) -> str:
    """
    Return a query with its placeholders filled: a pattern where it is matched, else the text.

    ``names`` are Kubernetes' names by placeholder.
    """
    matched = _spans_of_patterns(query)

    def fill(found: re.Match[str]) -> str:
        name = found["named"] or found["braced"]
        if name is None:
            return "$" if found["escaped"] else found[0]
        if any(begin <= found.start() < end for begin, end in matched):
            return any_of(names[name])
        return "|".join(sorted(names[name]))

    return string.Template.pattern.sub(fill, query)


def _spans_of_patterns(query: str) -> list[tuple[int, int]]:
    """Return where the strings of a query lie that are matched as regular expressions."""
    return [
        found.span()
        for found in _LEXED.finditer(query)
        if found["string"] and query[: found.start()].rstrip().endswith(("=~", "!~"))
    ]


def quoted(text: str) -> str:
    """Return a PromQL string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
