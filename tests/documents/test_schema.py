import contextlib
import json
import pathlib
import re

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from docs.reference import HERE, made
from scaler.configuration import Configuration
from scaler.decision.policy import InferencePolicy
from scaler.documents.configuration import read_configuration
from scaler.documents.metadata import DECLARED, KEDA_KEYS, KEYS, NAMES
from scaler.documents.schema import configuration_schema, described_keys, metadata_schema
from scaler.documents.trigger import parse_trigger
from scaler.errors import ConfigurationError
from scaler.source import Role

METADATA = jsonschema.Draft202012Validator(metadata_schema())
CONFIGURATION = jsonschema.Draft202012Validator(configuration_schema())
MINIMAL = {
    Role.INFERENCE: {"role": "inference"},
    Role.TRAINING: {"role": "training", "poolUnits": "8", "poolWorkloads": "llm/chat"},
}


@pytest.mark.parametrize("name", made())
def test_the_pages_in_docs_are_what_the_code_says(name):
    written = (HERE / name).read_text(encoding="utf-8")

    assert written == made()[name], "run: make generate"


def refused_keys(role: Role, key: str) -> set[str]:
    """Return the keys that the parser does not know."""
    try:
        parse_trigger("llm", "chat", {key: "?"} | MINIMAL[role], Configuration())
    except ConfigurationError as error:
        return {
            problem.field
            for problem in error.problems
            if problem.got.startswith(("an unknown key", "only with role"))
        }
    return set()


STRANGE = ["maxReplica", "workloads", "FromEnv", "scalerAddressFromEnv", "colour", ""]
ALL_KEYS = sorted(
    {key for names in NAMES.values() for name in names for key in (name, f"{name}FromEnv")}
    | KEDA_KEYS
    | set(STRANGE)
)


@pytest.mark.parametrize("role", Role)
def test_schema_and_parser_know_the_same_keys(role):
    by_schema = {
        key
        for key in ALL_KEYS
        if not any(
            error.validator == "additionalProperties"
            for error in METADATA.iter_errors({key: "?"} | MINIMAL[role])
        )
    }
    by_parser = {key for key in ALL_KEYS if key not in refused_keys(role, key)}

    assert by_schema == by_parser


@pytest.mark.parametrize("role", Role)
def test_the_least_that_parses_is_valid(role):
    parse_trigger("llm", "chat", MINIMAL[role], Configuration())

    assert METADATA.is_valid(MINIMAL[role])


FORMS = [pytest.param(key, id=f"{role} {key.name}") for role, keys in KEYS.items() for key in keys]


@pytest.mark.parametrize("key", FORMS)
def test_every_default_is_a_text_that_its_key_takes(key):
    if (
        key.default is not None
        and isinstance(key.default, str | int | float | tuple)
        and (key.default != ())
    ):
        assert key.form.read(key.form.write(key.default)) == key.default


ALPHABET = st.text("0123456789.,=-+%/aehmnsuiotk AZ_\nµ", max_size=12)
SAMPLES = st.sampled_from(
    ["60s", "1h30m", "0.7", "70%", "auto", "true", "8", "work,concurrency", "a=1s,b=2s,c=3ms",
     "llm/chat", "Deployment/chat", "app=chat", "vllm", "training", "1e3", "60s\n"]
)  # fmt: skip


@given(st.sampled_from([key for keys in KEYS.values() for key in keys]), ALPHABET | SAMPLES)
def test_what_the_parser_reads_the_schema_accepts(key, text):
    try:
        key.form.read(text)
    except (ValueError, ConfigurationError):
        return
    assert re.search(f"^(?:{key.form.pattern})$", text)


SINGLE = [
    key
    for keys in KEYS.values()
    for key in keys
    if not isinstance(key.default, tuple) and key.field != "step_cost"
]


@given(st.sampled_from(SINGLE).flatmap(
    lambda key: st.tuples(st.just(key), st.from_regex(key.form.pattern, fullmatch=True))
))  # fmt: skip
def test_what_the_schema_accepts_the_parser_reads(case):
    key, text = case

    with contextlib.suppress(ConfigurationError):  # of the right form, and out of range
        key.form.read(text)


@pytest.mark.parametrize(
    "kind",
    dict.fromkeys(kind for role in Role for kind in DECLARED[role]),
    ids=lambda kind: kind.__name__,
)
def test_every_key_says_what_it_means(kind):
    assert [key.name for key, doc in described_keys(kind) if not doc] == []


def test_the_pages_speak_of_keys_and_not_of_fields():
    fields = {name for name in InferencePolicy.__slots__ if "_" in name}
    words = set(re.findall(r"\w+", made()["metadata.md"] + made()["metadata.schema.json"]))

    assert words & fields == set()


def example_of(page: str) -> str:
    (example,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    return str(example)


def test_the_configuration_page_shows_a_configuration_that_reads():
    example = example_of(made()["configuration.md"])

    assert set(read_configuration(example).prometheus) == {"default", "eu1"}
    assert CONFIGURATION.is_valid(yaml.safe_load(example))


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("prometeus: {}", id="an unknown key"),
        pytest.param("prometheus: {eu1: {timeout: 5s}}", id="no address"),
        pytest.param("prometheus: {eu1: {url: x, timeout: 5}}", id="no unit"),
        pytest.param("pools: {a: {units: many, workloads: [llm/chat]}}", id="no number"),
    ],
)
def test_the_configuration_schema_refuses_what_the_reader_refuses(text):
    with pytest.raises(ConfigurationError):
        read_configuration(text)

    assert not CONFIGURATION.is_valid(yaml.safe_load(text))


def test_the_published_schemas_are_schemas():
    for path in pathlib.Path(HERE).glob("*.schema.json"):
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text(encoding="utf-8")))
