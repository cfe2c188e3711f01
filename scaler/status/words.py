"""The page's sentences in each language, from one catalogue."""

import dataclasses
import functools
import importlib.resources
import urllib.parse
from collections.abc import Mapping

import yaml

from scaler.said import Said

LANGUAGES = {"en": "English", "zh": "中文"}
"""Code to the language's own name; the first is the one where nothing else is asked for."""


@functools.cache
def catalogue() -> Mapping[str, Mapping[str, str]]:
    """Return every sentence by key and language; ``{name}`` in one is filled in."""
    text = importlib.resources.files(__package__).joinpath("words.yaml").read_text("utf-8")
    made: Mapping[str, Mapping[str, str]] = yaml.safe_load(text)
    return made


@functools.cache
def sentences() -> Mapping[str, Mapping[str, str]]:
    """Return what decisions say, by the English sentence with its gaps, in other languages."""
    text = importlib.resources.files(__package__).joinpath("sentences.yaml").read_text("utf-8")
    made: Mapping[str, Mapping[str, str]] = yaml.safe_load(text)
    return made


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One reader's language, and what of the address goes on into links."""

    language: str
    path: str = ""

    def __call__(self, key: str, /, **filled: object) -> str:
        """Return a sentence; a KeyError for a key that the catalogue lacks."""
        text = catalogue()[key][self.language]
        return text.format(**filled) if filled else text

    def sentence(self, text: str) -> str:
        """Return what a decision says; text of others (a database, a library) stays as it is."""
        if not isinstance(text, Said):
            return text
        others = sentences().get(text.sentence, {})
        told = others.get(self.language, text.sentence)
        if not others:  # no words of its own, but what stands between its parts
            told = told.replace("; ", self("between"))
        parts = {
            name: self.sentence(part) if isinstance(part, Said) else part
            for name, part in text.parts.items()
        }
        return told.format(**parts) if parts else told

    def reason(self, reason: str) -> str:
        """Return what a Reason means; empty for one that the catalogue does not have."""
        return catalogue().get(f"reason_{reason}", {}).get(self.language, "")

    @property
    def query(self) -> str:
        """The query string that keeps the language."""
        return self.link(self.language)

    def link(self, language: str) -> str:
        """Return the query string that asks for a language."""
        return urllib.parse.urlencode({"lang": language})

    def ago(self, seconds: float) -> str:
        """Return how long ago, in the largest unit that says something."""
        if seconds < 120:
            return self("seconds_ago", n=f"{max(0.0, seconds):.0f}")
        if seconds < 7200:
            return self("minutes_ago", n=f"{seconds / 60:.0f}")
        return self("hours_ago", n=f"{seconds / 3600:.0f}")


def choose(asked: str | None, accepted: str) -> str:
    """Return the language: the one asked for, else the first we have of what is accepted."""
    if asked in LANGUAGES:
        return asked
    for part in accepted.split(","):
        code = part.partition(";")[0].strip().lower().partition("-")[0]
        if code in LANGUAGES:
            return code
    return next(iter(LANGUAGES))
