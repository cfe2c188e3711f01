"""
A sentence that is made of parts, so that it can be said in another language as well.

English is what it is: the text is compared, logged and written to JSON as any other. The sentence
before its gaps were filled is its key in a catalogue, as gettext does it, and the parts may be
sentences of their own. Nothing here knows of a catalogue.
"""

from collections.abc import Iterable, Mapping
from typing import Self


class Said(str):
    """Text, with the sentence and the parts that it was made of."""

    __slots__ = ("parts", "sentence")

    sentence: str
    """With its gaps, as :meth:`str.format` has them: ``load {load:.2f} over {window_s:g} s``."""
    parts: Mapping[str, object]

    def __new__(cls, sentence: str, /, **parts: object) -> Self:
        """Fill the gaps of a sentence."""
        said = super().__new__(cls, sentence.format(**parts) if parts else sentence)
        said.sentence, said.parts = sentence, parts
        return said

    def renamed(self, old: str, new: str) -> "Said":
        """Return the same of parts that call ``old`` what ``new`` is."""
        return Said(
            self.sentence,
            **{
                name: part.renamed(old, new)
                if isinstance(part, Said)
                else part.replace(old, new)
                if isinstance(part, str)
                else part
                for name, part in self.parts.items()
            },
        )

    def __deepcopy__(self, _: object) -> "Said":
        """Return itself: it does not change."""
        return self

    def __reduce__(self) -> tuple[object, ...]:
        """Let another process have it whole."""
        return _made, (self.sentence, dict(self.parts))


def joined(separator: str, texts: Iterable[str]) -> Said:
    """Return texts one after another."""
    parts = {f"part_{number}": text for number, text in enumerate(texts)}
    return Said(separator.join(f"{{{name}}}" for name in parts), **parts)


def pieces(text: str) -> list[str]:
    """Return the texts that :func:`joined` put one after another; of any other the text itself."""
    named = text.parts if isinstance(text, Said) else {}
    if not named or any(name != f"part_{number}" for number, name in enumerate(named)):
        return [text]
    parts = (part for part in named.values() if isinstance(part, str))
    return [one for part in parts for one in pieces(part)]


def _made(sentence: str, parts: Mapping[str, object]) -> Said:
    return Said(sentence, **parts)
