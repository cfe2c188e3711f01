"""
How values are written as text: Go durations, shares, percentages, lists, names.

A :class:`Form` reads a text and writes it back, says what is allowed in words, and has the pattern
for the JSON Schema. Reading is strict, so that a typo is an error and never a different number:
``60`` is no duration, ``70`` no share, ``1_000`` no count. For every value that a form reads,
``read(write(value)) == value``.
"""

import dataclasses
import datetime as dt
import enum
import re
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any, get_args, get_origin, get_type_hints

from scaler.capacity.latency_target import (
    A_LATENCY_TARGET,
    LATENCY_TARGET,
    LatencyTarget,
    read_target,
    write_target,
)
from scaler.capacity.token_length import A_LENGTH, LENGTH, TokenLength, read_length, write_length
from scaler.decision.policy import Written
from scaler.numerals import (
    A_DURATION,
    DURATION,
    NUMBER,
    SECONDS,
    decimal_text,
    matching,
    read_duration,
    read_number,
    write_duration,
)
from scaler.ranges import unwrapped
from scaler.said import Said


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """One way of writing values of one type."""

    read: Callable[[str], Any]
    """Text to value; ValueError where the text is not of this form."""
    write: Callable[[Any], str]
    noun: str
    """What it is, in a word or two: duration, share."""
    allowed: str
    """What may be written, as a person is told."""
    pattern: str
    """Regular expression of every text that ``read`` takes, unanchored, without lookarounds."""
    choices: tuple[str, ...] = ()
    """Every allowed text, where they can be counted."""
    unit: str = ""
    """What follows a bound that is told as a plain number, where the text may have another."""
    suffixes: Mapping[str, Fraction] = dataclasses.field(default_factory=dict)
    """What may follow the digits of a number, and how many of each are one of the field's unit."""


def form_of(name: str, hint: Any) -> Form:  # noqa: ANN401 - a type hint is any object
    """
    Return how the values of a field are written, by its type and the suffix of its name.

    A :class:`Form` among the annotations of the type is that form.
    """
    bare, marks = unwrapped(hint)
    stated = next((mark for mark in marks if isinstance(mark, Form)), None)
    form = stated or _form_of_type(name, bare, marks)
    return _or_auto(form) if Written.AUTO in marks else form


def _form_of_type(name: str, hint: Any, marks: tuple[Any, ...]) -> Form:  # noqa: ANN401
    if get_origin(hint) is tuple:
        return listed(form_of(name, get_args(hint)[0]))
    if hint in FORMS:
        return FORMS[hint]
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return parts(hint)
    if issubclass(hint, enum.Enum):
        return choice([member.value for member in hint], of=hint)
    if hint is float:
        return _form_of_number(name, marks)
    return {int: WHOLE, bool: SWITCH, str: TEXT}[hint]


def _form_of_number(name: str, marks: tuple[Any, ...]) -> Form:
    if name.endswith("_s"):
        return DURATIONS
    if Written.SHARE in marks:
        return SHARES
    return PERCENTS if Written.PERCENT in marks else NUMBERS


def _read_whole(text: str) -> int:
    return int(matching(r"[+-]?[0-9]{1,15}", text).group())


def _read_share(text: str) -> float:
    if not text.endswith("%"):
        return read_number(text)
    return float(Decimal(matching(NUMBER, text[:-1]).group()) / 100)


def choice(texts: Iterable[str], *, of: Callable[[str], Any] = str) -> Form:
    """Return the form of one out of a few words."""
    words = tuple(texts)

    def read(text: str) -> Any:  # noqa: ANN401
        if text not in words:
            raise ValueError(text)
        return of(text)

    return Form(
        read=read,
        write=str,
        noun=" | ".join(words),
        allowed=" | ".join(words),
        pattern="|".join(re.escape(word) for word in words),
        choices=words,
    )


def listed(each: Form) -> Form:
    """Return the form of a list: parts between commas, at least one, none twice."""

    def read(text: str) -> tuple[Any, ...]:
        values = tuple(each.read(part.strip()) for part in text.split(","))
        if len(set(values)) != len(values):
            raise ValueError(text)
        return values

    return Form(
        read=read,
        write=lambda values: ",".join(map(each.write, values)),
        noun=f"list of {each.noun}",
        allowed=Said("a list, with commas, each once, of: {each}", each=each.allowed),
        pattern=rf"\s*(?:{each.pattern})\s*(?:,\s*(?:{each.pattern})\s*)*",
    )


def parts(kind: type) -> Form:
    """Return the form of a small value: ``a=20ms,b=300us,c=50us``, every part once."""
    hints = get_type_hints(kind, include_extras=True)
    forms = {_short(name): (name, form_of(name, hint)) for name, hint in hints.items()}

    def read(text: str) -> Any:  # noqa: ANN401
        stated = dict(part.strip().split("=", 1) for part in text.split(","))
        if stated.keys() != forms.keys() or text.count(",") + 1 != len(forms):
            raise ValueError(text)
        return kind(**{name: form.read(stated[short]) for short, (name, form) in forms.items()})

    def write(value: object) -> str:
        return ",".join(
            f"{short}={form.write(getattr(value, name))}" for short, (name, form) in forms.items()
        )

    either = "|".join(f"{short}=(?:{form.pattern})" for short, (_, form) in forms.items())
    words = ",".join(f"{short}=…" for short in forms)
    (allowed,) = {form.allowed for _, form in forms.values()}
    return Form(
        read=read,
        write=write,
        noun=words,
        allowed=Said("{words}, each {allowed}", words=words, allowed=allowed),
        pattern=rf"\s*(?:{either})\s*(?:,\s*(?:{either})\s*){{{len(forms) - 1}}}",
    )


def _short(name: str) -> str:
    return name.removesuffix("_s")


def _or_auto(form: Form) -> Form:
    """Return a form that also takes ``auto`` for None."""
    return dataclasses.replace(
        form,
        read=lambda text: None if text == "auto" else form.read(text),
        write=lambda value: "auto" if value is None else form.write(value),
        noun=f"auto or {form.noun}",
        allowed=Said("auto, or {allowed}", allowed=form.allowed),
        pattern=f"auto|{form.pattern}",
    )


WHOLE = Form(
    read=_read_whole,
    write=str,
    noun="whole number",
    allowed=Said("a whole number such as 8"),
    pattern="[+-]?[0-9]{1,15}",
    suffixes={"": Fraction(1)},
)
NUMBERS = Form(
    read=read_number,
    write=decimal_text,
    noun="number",
    allowed=Said("a number such as 1.5"),
    pattern=NUMBER,
    suffixes={"": Fraction(1)},
)
SHARES = Form(
    read=_read_share,
    write=decimal_text,
    noun="share",
    allowed=Said("a share such as 0.7 or 70%"),
    pattern=f"{NUMBER}%?",
    unit=Said(" (0.7 or 70%)"),
    suffixes={"": Fraction(1), "%": Fraction(100)},
)
PERCENTS = Form(
    read=lambda text: read_number(text.removesuffix("%")),
    write=decimal_text,
    noun="percent",
    allowed=Said("percent such as 200 or 200%"),
    pattern=f"{NUMBER}%?",
    suffixes={"%?": Fraction(1)},
)
DURATIONS = Form(
    read=read_duration,
    write=write_duration,
    noun="duration",
    allowed=A_DURATION,
    pattern=DURATION,
    unit=Said(" seconds"),
    suffixes={unit: 1 / Fraction(SECONDS[unit]) for unit in ("ms", "s", "m", "h")},
)
SWITCH = Form(
    read=lambda text: {"true": True, "false": False}[matching("true|false", text).group()],
    write=lambda value: "true" if value else "false",
    noun="true | false",
    allowed="true | false",
    pattern="true|false",
    choices=("true", "false"),
)
TEXT = Form(
    read=lambda text: matching(r"[ -~]{1,253}", text).group(),
    write=str,
    noun="text",
    allowed=Said("printable text"),
    pattern=r"[ -~]{1,253}",
)
"""A name of any kind, on one line."""
PROSE = Form(
    read=lambda text: matching(r"[^\x00-\x08\x0b-\x1f\x7f]+", text).group(),
    write=str,
    noun="text",
    allowed=Said("text"),
    pattern=r"[^\x00-\x08\x0b-\x1f\x7f]+",
)
"""Text of any length, over several lines where it likes: queries, addresses."""


LENGTHS = Form(
    read=read_length,
    write=write_length,
    noun="mean or mean:p95",
    allowed=A_LENGTH,
    pattern=LENGTH,
)


LATENCY_TARGETS = Form(
    read=read_target,
    write=write_target,
    noun="duration, or duration@p99",
    allowed=A_LATENCY_TARGET,
    pattern=LATENCY_TARGET,
)
FORMS: Mapping[type, Form] = {TokenLength: LENGTHS, LatencyTarget: LATENCY_TARGETS}
"""How values are written that have a grammar of their own."""


def read_instant(text: str) -> float:
    """Return Unix seconds, from ``2026-09-30T12:00:00Z`` (UTC without a zone) or such a number."""
    try:
        return read_number(text)
    except ValueError:
        moment = dt.datetime.fromisoformat(text)
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)).timestamp()
    except OverflowError as error:  # the last day, in a zone where it is over later
        raise ValueError(text) from error
