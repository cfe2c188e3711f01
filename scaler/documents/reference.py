"""
The reference pages of trigger metadata and of the configuration, made from the fields' docstrings.

One row per key: how it is written, what holds without it, what it means.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin, get_type_hints

from scaler.configuration import Configuration
from scaler.ranges import Range, range_of, unwrapped
from scaler.settings import Settings
from scaler.source import Role

from .engines import engine_names
from .forms import Form, form_of
from .gateways import gateway_names
from .keys import NO_DEFAULT, attribute_docstrings, default_of, key_name
from .metadata import DECLARED
from .schema import default_text, described_keys

Row = tuple[str, str, str, str]
TITLES = {
    "SharedKeys": "Both roles",
    "InferenceKeys": "Inference: what is scaled",
    "CapacityKeys": "Inference: what a replica's KV cache is computed from",
    "InferencePolicy": "Inference: how far",
    "TrainingKeys": "Training: whose idle units",
    "LendingPolicy": "Training: how many workers",
}
METADATA_HEAD = """\
# Trigger metadata

What stands under `metadata` of a ScaledObject's `external-push` or `external` trigger. Every value
is text. `kvtide check FILE` reads all of it, says everything that is wrong at once, and knows what
was probably meant; [metadata.schema.json](metadata.schema.json) serves editors. Made from the
code by `make generate`.

* Durations are Go's, always with their unit: `500ms`, `60s`, `5m`, `1h30m`.
* A share is `0.7` or `70%`; a bare `70` is an error. Percentages (`panicThreshold`,
  `panicWindowPercentage`) are `200` or `200%`, both two hundred.
* A range is one of the number that is written; the schema's `minimum` and `maximum` are seconds for
  durations, and 0 to 1 for shares.
* Lists have commas: `metrics: work,concurrency`. No part may be there twice.
* Targets are `Kind/name` (`StatefulSet/chat`); selectors have Prometheus' label names.
* `auto` where the table says so: kvtide finds the value from what it sees.
* `maxReplicasFromEnv` is `maxReplicas` with the value that KEDA resolves from the container's
  environment; both at once is an error. It works for every key.
* `scalerAddress`, `enableTLS` and `unsafeSsl` are KEDA's own.
* Unknown keys are errors, and so are keys of the other role.
"""
CONFIGURATION_HEAD = """\
# Configuration

What all workloads share, in one YAML file: `kvtide serve --config FILE` (in the chart:
`configuration`). Wrong values, unknown keys and keys given twice are told all at once, each with
its path; [configuration.schema.json](configuration.schema.json) serves editors. Made from the
code by `make generate`.

```yaml
prometheus:
  default:
    url: http://prometheus-operated.monitoring:9090
    scrapeInterval: {engine: 5s, gpu: 15s}
  eu1:
    url: https://thanos-query.eu1.example
    matchers: {cluster: eu1}
    replicaLabels: [prometheus_replica]
    params: {dedup: true, partial_response: false}
    bearerTokenFile: /etc/kvtide/thanos-token
    caFile: /etc/kvtide/ca.crt
pools:
  a100:
    resource: nvidia.com/mig-1g.5gb
    units: 7
    reservedUnits: 3
    workloads: [llm/chat, llm/code]
queries:
  chat-arrivals: sum(http_requests_total{namespace="$namespace", service="$workload"})
gatewayNamespaces: [istio-system]
```
"""


def metadata_page() -> str:
    """Return docs/metadata.md."""
    kinds = dict.fromkeys(kind for role in Role for kind in DECLARED[role])
    sections = [
        _section(
            TITLES[kind.__name__],
            [
                (
                    key.name,
                    ranged(key.form, key.range),
                    default_text(key.form, key.default) or "",
                    doc,
                )
                for key, doc in described_keys(kind)
            ],
        )
        for kind in kinds
    ]
    return "\n".join([METADATA_HEAD, *sections, _names()])


def _names() -> str:
    """Return what ``engine`` and ``gateway`` may be without a configuration."""
    nothing = Configuration()
    lines = [
        f"* `{key}`: {', '.join(f'`{name}`' for name in sorted(names))}"
        for key, names in (
            ("engine", engine_names(nothing)),
            ("gateway", gateway_names(nothing)),
        )
    ]
    return "\n".join(["## Names that come with kvtide", "", *lines, ""])


def configuration_page() -> str:
    """Return docs/configuration.md."""
    sections = [_section(f"`{path}`" if path else "Top", rows) for path, rows in _tables()]
    return "\n".join([CONFIGURATION_HEAD, *sections, _section("`server`", _server_rows())])


def _tables() -> Iterator[tuple[str, list[Row]]]:
    """Yield the rows of every dataclass in the configuration, with its path, outer ones first."""
    waiting: list[tuple[str, type]] = [("", Configuration)]
    while waiting:
        path, kind = waiting.pop(0)
        hints = get_type_hints(kind, include_extras=True)
        docs = attribute_docstrings(kind)
        rows, inner = [], []
        for field in dataclasses.fields(kind):
            name = key_name(field.name)
            written, within = _written(field.name, hints[field.name])
            if within is not None:
                step = name if within.direct else f"{name}.NAME"
                inner.append((f"{path}.{step}" if path else step, within.kind))
            default = _default(field, hints[field.name])
            rows.append((name, written, default, docs.get(field.name, "")))
        waiting = inner + waiting
        yield path, rows


@dataclasses.dataclass(frozen=True, slots=True)
class _Within:
    """A dataclass as the value of a key: itself, or one of many with names."""

    kind: type
    direct: bool


def _written(name: str, hint: Any) -> tuple[str, _Within | None]:  # noqa: ANN401
    """Return how a value is written, and the dataclass that has a table of its own."""
    bare, _ = unwrapped(hint)
    if dataclasses.is_dataclass(bare) and isinstance(bare, type):
        return "see below", _Within(bare, direct=True)
    if get_origin(bare) is Mapping:
        part = get_args(bare)[1]
        if dataclasses.is_dataclass(part) and isinstance(part, type):
            return "by name, see below", _Within(part, direct=False)
        return ("a text by name" if part is str else "a mapping"), None
    if get_origin(bare) is tuple:
        return ("a mapping" if get_origin(get_args(bare)[0]) is tuple else "a list"), None
    return ("text" if bare is str else ranged(form_of(name, hint), range_of(hint))), None


def ranged(form: Form, declared: Range | None) -> str:
    """Return how a value is written and what it may be: ``duration, 6s to 1h``."""
    if declared is None:
        return form.noun
    low = declared.ge if declared.gt is None else declared.gt
    high = declared.lt if declared.le is None else declared.le
    open_below, open_above = declared.gt is not None, declared.le is None
    if math.isfinite(high) and not open_below and not open_above:
        return f"{form.noun}, {form.write(low)} to {form.write(high)}"
    floor = f"{'above' if open_below else 'at least'} {form.write(low)}"
    if not math.isfinite(high):
        return f"{form.noun}, {floor}"
    return f"{form.noun}, {floor} and {'below' if open_above else 'at most'} {form.write(high)}"


def _default(field: "dataclasses.Field[Any]", hint: Any) -> str:  # noqa: ANN401
    default = default_of(field)
    if default is NO_DEFAULT:
        return "must be stated"
    if default in ((), {}) or dataclasses.is_dataclass(default):
        return ""
    return default_text(form_of(field.name, hint), default) or ""


def _server_rows() -> list[Row]:
    """Return what the serving process may be told; flags and environment come before it."""
    docs = attribute_docstrings(Settings)
    return [
        (
            key_name(name),
            f"`--{name.replace('_', '-')}`",
            _setting(field.default),
            docs.get(name, ""),
        )
        for name, field in Settings.model_fields.items()
    ]


def _setting(default: object) -> str:
    if default is None:
        return ""
    return f"{default:g}s" if isinstance(default, float) else str(default)


def _section(title: str, rows: list[Row]) -> str:
    lines = [
        f"| `{name}` | {_cell(written)} | {f'`{default}`' if default else ''} | {_cell(doc)} |"
        for name, written, default, doc in rows
    ]
    return "\n".join(
        [
            f"## {title}",
            "",
            "| key | written as | default | meaning |",
            "|---|---|---|---|",
            *lines,
            "",
        ]
    )


def _cell(text: str) -> str:
    """Return a text for a table: code marks as Markdown has them, bars escaped."""
    return text.replace("``", "`").replace("|", "\\|")
