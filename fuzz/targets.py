"""
What is written by others, each as a function of bytes that ends clearly or raises.

A clear end is a value, or an error of ours whose every problem is one short line. The same
functions run for ten minutes each under atheris (``make fuzz``), for a moment each in the tests.
"""

import json
import math
from collections.abc import Callable, Mapping

from scaler.capacity.models import architecture_of
from scaler.capacity.question import CapacityQuestion, planned_capacity
from scaler.check.files import check
from scaler.check.findings import findings_text
from scaler.configuration import Configuration, Pool, PrometheusServer
from scaler.documents.configuration import read_configuration
from scaler.documents.trigger import parse_trigger
from scaler.errors import ConfigurationError, SourceError
from scaler.readings.replies import answer_of, refusal_of
from scaler.readings.scrape import rows_of_page

LONGEST = 1000
"""Characters of one problem."""
CONFIGURATION = Configuration(
    prometheus={"default": PrometheusServer(url="http://prometheus:9090")},
    pools={"a100": Pool(units=7, workloads=("llm/chat",))},
    queries={"arrivals": 'sum(requests_total{namespace="$namespace"})'},
)
WANTED = ("up", "vllm:num_requests_running", "vllm:request_prompt_tokens_bucket")


class UnclearError(AssertionError):
    """An end that tells a person nothing, or too much."""


def told(error: ConfigurationError | SourceError) -> None:
    """Raise where a person would not read an error on one short line."""
    problems = error.problems if isinstance(error, ConfigurationError) else (error,)
    for text in map(str, problems):
        if "\n" in text or "\r" in text or len(text) > LONGEST:
            raise UnclearError(text[:LONGEST])
    if not problems:
        raise UnclearError("an error without a problem")


def metadata(data: bytes) -> None:
    """Lines of ``key=text``, as KEDA forwards them."""
    lines = data.decode(errors="replace").splitlines()
    stated = dict(line.partition("=")[::2] for line in lines)
    try:
        parse_trigger("llm", "chat", stated, CONFIGURATION)
    except ConfigurationError as error:
        told(error)


def config_json(data: bytes) -> None:
    """A model's ``config.json``, asked how much fits."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return
    if not isinstance(document, dict):
        return
    engines = ("vllm", "sglang", "tgi", "trtllm")
    question = CapacityQuestion(
        model="m",
        gpu="H100",
        engine=engines[len(data) % len(engines)],
        prompt_tokens="1000:2000",
        output_tokens="100",
    )
    try:
        model = architecture_of("m", document)
        planned_capacity(question, lambda _: model)
    except ConfigurationError as error:
        told(error)


def exposition(data: bytes) -> None:
    """A page of ``/metrics``."""
    for labels, value in rows_of_page(data.decode(errors="replace"), WANTED) or ():
        if not math.isfinite(value) or not all(isinstance(one, str) for one in labels.values()):
            raise UnclearError(f"{labels} {value}")


def reply(data: bytes) -> None:
    """A reply of Prometheus' query API."""
    try:
        told(refusal_of(400, data, "reason"))
        rows, _ = answer_of(data, most=100)
    except SourceError as error:
        _known(error)
    except (ValueError, KeyError, TypeError, RecursionError):
        return  # what PrometheusApi tells of as no answer in Prometheus' format
    else:
        if not all(
            math.isfinite(at) and math.isfinite(v) for _, points in rows for at, v in points
        ):
            raise UnclearError(str(rows)[:LONGEST])


def _known(error: SourceError) -> None:
    """Raise where an error is of no known kind; what others say is cut by whoever tells it."""
    if error.kind not in {"http", "limit", "partial", "format"}:
        raise UnclearError(error.kind)


def yaml_text(data: bytes) -> None:
    """A file of ScaledObjects, and a configuration."""
    text = data.decode(errors="replace")
    try:
        findings_text(check({"x.yaml": text}, CONFIGURATION))
    except ConfigurationError as error:
        told(error)
    try:
        read_configuration(text, "x.yaml")
    except ConfigurationError as error:
        told(error)


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "metadata": metadata,
    "config-json": config_json,
    "exposition": exposition,
    "reply": reply,
    "yaml": yaml_text,
}
