"""
Every error that kvtide raises on purpose.

::

    KvtideError
    ├── ConfigurationError    what a person wrote is wrong; all problems at once
    ├── UnknownMetricError    KEDA asked for a metric that this scaler does not have
    ├── NotServedError        somebody asked for an object that this scaler does not know
    ├── TooManyObjectsError   more objects than this scaler is allowed to serve
    ├── TooManyStreamsError   more streams than this scaler keeps open
    ├── FaultError            this program is wrong; the log has the traceback
    └── NoDataError           no answer without data: hold what is
        └── SourceError       the source itself failed: refused, timeout, format, partial, …

The outermost edge turns each into a gRPC status or an exit code in one table of its own; a
traceback is never a user's mistake.
"""

import dataclasses
from collections.abc import Callable
from typing import Self

from scaler.said import Said, joined


class KvtideError(Exception):
    """Root of the tree above; never raised itself."""

    @property
    def said(self) -> str:
        """What it says, as it can be said in another language too."""
        text = self.args[0] if self.args else ""
        return text if isinstance(text, str) else str(self)

    def again(self) -> Self:
        """
        Return the same error as it was before anybody raised it.

        One that is kept must be kept so: a traceback holds every frame that it went through, with
        all that is in them.
        """
        made = type(self).__new__(type(self))
        made.args = self.args
        vars(made).update(vars(self))
        return made


NOTHING, STATED, UNKNOWN_KEY = Said("nothing"), "stated", Said("an unknown key")
"""What is got, and what is allowed, of a key that is missing or that nobody knows."""
READABLE = "a readable"
"""How what is allowed begins, where something is not to be read; what is got says why."""


def stated(why: str = "") -> Said:
    """Return what is allowed of a key that is missing; ``why`` follows at once."""
    return Said("stated{why}", why=why)


def stated_since(key: str) -> Said:
    """Return the same of a key that another one asks for."""
    return stated(Said(", since {key} is", key=key))


_LONGEST = 300
"""Characters of what was got, in a sentence."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing that is wrong with a document: the field, what was got, what is allowed."""

    field: str
    got: str
    allowed: str = ""
    """Empty: ``got`` is a sentence that says all, and no value that somebody wrote."""
    others: tuple[str, ...] = ()
    """Fields beside this one that ``allowed``, or that sentence, names, as it writes them."""

    def __str__(self) -> str:
        """Return the sentence a person reads."""
        return str(self.sentence)

    @property
    def sentence(self) -> Said:
        """The sentence a person reads, with its parts."""
        return Said("{field}: {said}", field=_on_one_line(self.field), said=self.said)

    @property
    def said(self) -> Said:
        """The sentence without the field: what is wrong, and what is right instead."""
        if self.got == NOTHING:
            return self._missing
        if not self.allowed:
            return joined("", (self.got if self.got.isprintable() else repr(self.got),))
        got = _on_one_line(self.got)
        if self.allowed.startswith(READABLE):
            return Said("cannot be read: {got}", got=got)
        wrong = Said("unknown key") if self.got == UNKNOWN_KEY else Said("got {got}", got=got)
        if self.allowed.startswith("did you mean"):
            return joined("; ", (wrong, self._printable))
        return joined("; ", (wrong, Said("allowed: {allowed}", allowed=self._printable)))

    @property
    def _printable(self) -> str:
        """What is allowed, which may list names that somebody gave, without line breaks."""
        return self.allowed if self.allowed.isprintable() else repr(str(self.allowed))

    @property
    def _missing(self) -> Said:
        """What is to be stated, or why it must be; nothing more: it simply must."""
        why = self.allowed.removeprefix(STATED)
        if why == self.allowed:
            return Said("missing; state {allowed}", allowed=self._printable)
        said = self.allowed.parts.get("why") if isinstance(self.allowed, Said) else None
        why = said if isinstance(said, str) else why
        if why.startswith(", or"):
            return Said("missing; state it{why}", why=why)
        return Said("missing{why}", why=why)

    def renamed(self, name: Callable[[str], str]) -> "Problem":
        """Return the problem with every field that it carries called what ``name`` says."""
        others = tuple(name(other) for other in self.others)
        says = self.allowed or self.got
        for old, new in zip(self.others, others, strict=True):
            says = says.renamed(old, new) if isinstance(says, Said) else says.replace(old, new)
        said = {"allowed": says} if self.allowed else {"got": says}
        return dataclasses.replace(self, field=name(self.field), others=others, **said)


def _on_one_line(text: str) -> str:
    """Return what somebody wrote as a person reads it: short, and without line breaks."""
    short = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return short if short.isprintable() else repr(short)


class ConfigurationError(KvtideError):
    """A document (trigger metadata, configuration, flags) with at least one problem."""

    def __init__(self, *problems: Problem) -> None:
        self.problems = problems
        super().__init__(joined("\n", [problem.sentence for problem in problems]))

    def __reduce__(self) -> tuple[object, ...]:
        """Let another process have it whole."""
        return type(self), self.problems


class UnknownMetricError(KvtideError):
    """A metric name other than the one in the constant spec."""


class NotServedError(KvtideError):
    """An object that nobody asked this scaler about yet."""


class TooManyObjectsError(KvtideError):
    """The bound on served objects is reached: one more is refused, and nobody is evicted."""


class TooManyStreamsError(KvtideError):
    """The bound on open streams is reached: one more is refused, and none is cut for it."""


class FaultError(KvtideError):
    """
    A fault of this program: what would have been a traceback, contained to one object.

    Only its kind is told: what an error of another's code says was written for nobody.
    """

    def __init__(self, cause: BaseException) -> None:
        self.detail = Said("{kind}; the log of the scaler says more", kind=type(cause).__name__)
        super().__init__(Said("internal error: {detail}", detail=self.detail))


class NoDataError(KvtideError):
    """
    Readings are missing or too old to decide on: whoever asks must keep what is.

    ``newest_s`` is the Unix time of the newest sample there is, too old as it may be; None: there
    never was one.
    """

    def __init__(self, message: str, *, newest_s: float | None = None) -> None:
        self.newest_s = newest_s
        super().__init__(message)


SOURCE_ERRORS = (
    *("refused", "timeout", "http", "format", "partial", "limit", "credentials", "clock"),
    *("several", "internal"),
)
"""Every kind of :class:`SourceError`: several servers failed in several ways; a fault of ours."""


class SourceError(NoDataError):
    """
    A source could not be read.

    ``kind`` is a bounded label, one of :data:`SOURCE_ERRORS`.
    ``of_the_query``: the server is well and refuses what was asked; less of it may do.
    """

    def __init__(self, kind: str, detail: str, *, of_the_query: bool = False) -> None:
        self.kind, self.detail, self.of_the_query = kind, detail, of_the_query
        super().__init__(Said("{kind}: {detail}", kind=kind, detail=detail))
