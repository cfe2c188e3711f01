"""What decisions say is said in every language: nothing is missing, nothing is left over."""

import ast
import itertools
import pathlib
import pickle
import string
from collections.abc import Iterator

import pytest

from scaler.decision.decide import decide
from scaler.decision.decision import Decision
from scaler.decision.reported import WORK
from scaler.decision.said import Said, joined
from scaler.status.words import LANGUAGES, Words, sentences
from tests.golden.histories import random_polls

SCALER = pathlib.Path(__file__).parents[2] / "scaler"
ROOMS = (SCALER / "decision", SCALER / "readings")
ZH = Words(language="zh")
EN = Words(language="en")


def written() -> Iterator[tuple[str, set[str]]]:
    """Yield every sentence of decisions and readings, and the parts that it is given by name."""
    for path in sorted(path for room in ROOMS for path in room.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Name("Said"), args=[ast.Constant(str(sentence))]):
                    named = {one.arg for one in node.keywords if one.arg is not None}
                    yield sentence, named
                case _:
                    pass
    yield from ((what, set()) for what in WORK)


def gaps(sentence: str) -> dict[str, str]:
    """Return the gaps of a sentence, and how each is formatted."""
    found = string.Formatter().parse(sentence)
    return {name: spec or "" for _, name, spec, _ in found if name is not None}


def has_words(sentence: str) -> bool:
    texts = (text for text, *_ in string.Formatter().parse(sentence))
    return any(letter.isalpha() for text in texts for letter in text)


def test_every_sentence_of_a_decision_is_there_in_every_language():
    wanted = {sentence for sentence, _ in written() if has_words(sentence)}
    others = set(LANGUAGES) - {"en"}

    assert wanted - sentences().keys() == set()
    assert sentences().keys() - wanted == set()
    assert {key for key, texts in sentences().items() if set(texts) != others} == set()


@pytest.mark.parametrize(("sentence", "named"), list(written()))
def test_a_sentence_has_the_gaps_that_are_filled(sentence, named):
    assert named <= gaps(sentence).keys()
    for text in sentences().get(sentence, {}).values():
        assert gaps(text) == gaps(sentence)


def texts_of(decision: Decision) -> Iterator[str]:
    yield from (step.detail for step in decision.steps)
    yield from (signal.detail for signal in decision.signals)
    yield from decision.notes


def unsaid(text: object) -> list[object]:
    """Return what of a text no catalogue has; names and numbers aside."""
    if not isinstance(text, Said):
        return [text]
    parts = [one for part in text.parts.values() if isinstance(part, Said) for one in unsaid(part)]
    return parts if text.sentence in sentences() or not has_words(text.sentence) else [text]


def test_whatever_is_decided_can_be_said_in_every_language():
    for _, known, policy in itertools.islice(random_polls(), 0, None, 20):
        for text in texts_of(decide(known, policy)):
            assert EN.sentence(text) == text
            assert unsaid(text) == []


def test_parts_that_are_sentences_are_said_in_the_language_too():
    silent = Said("no replica reports")
    whole = Said(
        "no fewer than now without every signal ({why})", why=joined("; ", [silent, "x:y"])
    )

    assert whole == "no fewer than now without every signal (no replica reports; x:y)"
    assert ZH.sentence(whole) == "信号不全时不少于现有数量（没有副本上报; x:y）"


def test_text_of_others_stays_as_it_is():
    assert ZH.sentence("Connection refused") == "Connection refused"
    assert ZH.sentence(Said("a sentence of another version")) == "a sentence of another version"


def test_a_sentence_comes_through_another_process_whole():
    text = Said("the maximum is {most}", most=4)

    again = pickle.loads(pickle.dumps(text))  # noqa: S301 -- our own

    assert again == text
    assert ZH.sentence(again) == "最大副本数为 4"
