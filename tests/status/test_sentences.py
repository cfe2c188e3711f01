"""What decisions and errors say is said in every language: nothing is missing or left over."""

import ast
import functools
import itertools
import pathlib
import pickle
import string
from collections.abc import Iterator

import pytest

from scaler.configuration import Configuration
from scaler.decision.decide import decide
from scaler.decision.decision import Decision
from scaler.decision.reported import WORK
from scaler.documents.trigger import parse_trigger
from scaler.errors import ConfigurationError, SourceError
from scaler.said import Said, joined, pieces
from scaler.status.words import LANGUAGES, Words, sentences
from tests.golden.histories import random_polls

SCALER = pathlib.Path(__file__).parents[2] / "scaler"
UNSEEN = {
    "lab", "cli", "controller", "check", "simulation", "_pb",
    "traces.py", "recording.py", "latency.py", "served.py", "written.py", "profile.py", "api.py",
    "clouds.py", "deployed.py", "demo.py", "listening.py", "settings.py", "tracing.py", "report",
    "app.py", "once.py", "configuration.py", "nodes.py", "yaml_text.py", "keda",
    "grid.py", "past.py",
}  # fmt: skip
"""Rooms and modules whose errors are told to whoever starts a command, not on the page."""
ERRORS = {"NoDataError", "NotServedError", "SourceError"}
ERRORS |= {"PartialAnswerError", "TooManyObjectsError", "TooManySeriesError"}
ZH = Words(language="zh")
EN = Words(language="en")


def written() -> Iterator[tuple[str, set[str]]]:
    """Yield every sentence that is said, and the parts that it is given by name."""
    for path in sorted(SCALER.rglob("*.py")):
        for node in ast.walk(parsed(path)):
            match node:
                case ast.Call(func=ast.Name("Said"), args=[ast.Constant(str(sentence))]):
                    named = {one.arg for one in node.keywords if one.arg is not None}
                    yield sentence, named
                case _:
                    pass
    yield from ((what, set()) for what in WORK)


@functools.cache
def parsed(path: pathlib.Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def unsaid_errors(path: pathlib.Path) -> Iterator[str]:
    """Yield each text of an error in a module that is written there, and no :class:`Said`."""
    for node in ast.walk(parsed(path)):
        match node:
            case ast.Call(func=ast.Name("Problem")):
                texts = [one.value for one in node.keywords if one.arg in {"got", "allowed"}]
            case ast.Call(func=ast.Name(name)) if name in ERRORS:
                texts = node.args
            case ast.Assign(targets=[ast.Name("got" | "allowed")]):
                texts = [node.value]
            case _:
                continue
        for text in texts:
            either = [text.body, text.orelse] if isinstance(text, ast.IfExp) else [text]
            yield from (f"{path.name}:{one.lineno}" for one in either if is_prose(one))


def is_prose(text: ast.expr) -> bool:
    match text:
        case ast.Constant(str(value)):
            return " " in value.strip()
        case ast.JoinedStr(values):
            written = "".join(str(one.value) for one in values if isinstance(one, ast.Constant))
            return " " in written and any(letter.isalpha() for letter in written)
        case _:
            return False


def gaps(sentence: str) -> dict[str, str]:
    """Return the gaps of a sentence, and how each is formatted."""
    found = string.Formatter().parse(sentence)
    return {name: spec or "" for _, name, spec, _ in found if name is not None}


def has_words(sentence: str) -> bool:
    texts = (text for text, *_ in string.Formatter().parse(sentence))
    return any(letter.isalpha() for text in texts for letter in text)


def test_no_error_that_a_page_may_show_is_written_in_one_language_alone():
    seen = [path for path in sorted(SCALER.rglob("*.py")) if not UNSEEN & set(path.parts)]

    assert [one for path in seen for one in unsaid_errors(path)] == []


def test_every_sentence_is_there_in_every_language():
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


@pytest.mark.parametrize(
    "metadata",
    [
        {"stableWindow": "2", "metrics": "concurrency,concurency", "stabelWindow": "60s"},
        {"stableWindow": "2s", "targetUtilization": "170%", "minReplicas": "9", "maxReplicas": "2"},
        {"metrics": "rps", "engine": "vlm", "prometheus": "eu", "workload": "Job/x"},
        {"role": "training", "poolUnits": "8", "lendBelow": "0.9", "poolWorkloads": ""},
        {"model": "no-such-model", "gpu": "H100"},
        {"gpu": "H1000", "promptTokens": "1200"},
        {"model": "llama-3.1-8b", "gpu": "H1000 NVL", "tensorParallel": "3", "kvCacheDtype": "x"},
        {"gatewaySelector": "namespace=other", "concurrencyMode": "explicit"},
        {f"key{n}": "x" for n in range(300)},
    ],
)
def test_whatever_is_wrong_with_metadata_can_be_said_in_every_language(metadata):
    with pytest.raises(ConfigurationError) as caught:
        parse_trigger("llm", "chat", metadata, Configuration())

    assert unsaid(caught.value.said) == []
    assert EN.sentence(caught.value.said) == str(caught.value)
    assert "got" not in ZH.sentence(caught.value.said)


def test_an_error_of_a_source_keeps_its_sentence_wherever_it_goes():
    late = SourceError("timeout", Said("{url} took more than {limit_s:g} s", url="u", limit_s=5.0))

    failed = Said("the last read failed: {failure}", failure=late.again().said)
    told = joined("; ", ("x", failed))

    assert told == "x; the last read failed: timeout: u took more than 5 s"
    assert ZH.sentence(told) == "x；最近一次读取失败：timeout: u 用时超过 5 秒"
    assert pieces(told) == ["x", "the last read failed: timeout: u took more than 5 s"]


def test_parts_that_are_sentences_are_said_in_the_language_too():
    silent = Said("no replica reports")
    whole = Said(
        "no fewer than now without every signal ({why})", why=joined("; ", [silent, "x:y"])
    )

    assert whole == "no fewer than now without every signal (no replica reports; x:y)"
    assert ZH.sentence(whole) == "信号不全时不少于现有数量（没有副本上报；x:y）"


def test_text_of_others_stays_as_it_is():
    assert ZH.sentence("Connection refused") == "Connection refused"
    assert ZH.sentence(Said("a sentence of another version")) == "a sentence of another version"


def test_a_sentence_comes_through_another_process_whole():
    text = Said("the maximum is {most}", most=4)

    again = pickle.loads(pickle.dumps(text))  # noqa: S301 -- our own

    assert again == text
    assert ZH.sentence(again) == "最大副本数为 4"
