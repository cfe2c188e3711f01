"""
Start-up logs of real engines, as rows: what each says its engine was started with.

The data are not part of the repository: ``ground_truth.csv``, ``new_logs.csv``, ``new_configs/``
and ``model_archs.json`` lie in ``$KVTIDE_DATA/kv``, else in ``../shared/data/kv`` beside the
checkout. The newer logs have more columns; in the older ones the same facts are notes.
"""

import csv
import dataclasses
import itertools
import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from scaler.capacity.architecture import ModelArchitecture
from scaler.capacity.gpus import Gpu, find_gpu
from scaler.capacity.kv_cache import GIB, Engine, GpuClass, Serving
from scaler.capacity.models import architecture_of
from scaler.capacity.models.names import declared_of, find, stored_as
from scaler.errors import ConfigurationError, Problem

ROOT = pathlib.Path(__file__).parent.parent
ENGINES = {
    "vllm": Engine.VLLM,
    "aphrodite": Engine.VLLM,
    "sglang": Engine.SGLANG,
    "tensorrt-llm": Engine.TRTLLM,
    "tgi": Engine.TGI,
}


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One log."""

    id: str
    text: Mapping[str, str]
    notes: Mapping[str, str]
    config: pathlib.Path | None = None
    """The configuration that the row names."""

    def number(self, field: str) -> float | None:
        """Return a column as a number, or None where the log does not say."""
        return float(self.text[field]) if self.text[field] else None

    def whole(self, field: str) -> int | None:
        """Return a column as a whole number, or None."""
        value = self.number(field)
        return None if value is None else int(value)

    @property
    def model(self) -> str:
        """The name that the aliases know."""
        guess = self.notes.get("model_guess")
        return guess or self.text["model"]

    @property
    def gpus(self) -> int:
        """GPUs of one engine, as far as the row says."""
        ranks = self.whole("tp") or int(self.notes.get("tp_guess", 1))
        return ranks * (self.whole("pp") or int(self.notes.get("pp_guess", 1)))


def data_folder(stated: str | None = None) -> pathlib.Path:
    """Return where the logs lie."""
    named = stated or os.environ.get("KVTIDE_DATA")
    return (pathlib.Path(named) if named else ROOT.parent / "shared" / "data") / "kv"


def read_rows(folder: pathlib.Path) -> tuple[Row, ...]:
    """Return the logs, those of the older file first."""
    return tuple(
        _row(text, folder)
        for name in ("ground_truth.csv", "new_logs.csv")
        if (folder / name).is_file()
        for text in csv.DictReader((folder / name).read_text(encoding="utf-8").splitlines())
    )


AS_NOTES = {
    "dcp": "dcp",
    "speculative_tokens": "mtp",
    "max_num_batched_tokens": "max_num_batched_tokens",
    "max_num_seqs": "max_num_seqs",
    "needed_gib": "needed_gib",
    "avail_bytes": "avail_bytes",
    "kvtide_model": "model_guess",
}
"""Columns of the newer file that are notes in the older."""


MISTOLD = {
    "g199": {
        "model": "Kimi-Linear-48B-A3B",
        "kv_cache_dtype": "",
        "notes": "needed_gib=7.89;est_max_len=530432;engine refusal message;no prefix caching",
    },
    "g177": {"notes": "MTP2;no GiB"},
    "g163": {"gpu": "Radeon 8060S", "engine_version": "0.11.1"},
}
"""
Rows whose source says otherwise than the row, and what it says.

g199's refusal is of moonshotai/Kimi-Linear-48B-A3B-Instruct (27 layers, 7 of them latent) in 16
bits and without prefix caching: "Kimi-K3" is how vLLM's code calls the family. g177's machine
drafts two tokens at a time, by the same author's notes. g163 ran on the GPU of an AMD processor
(Ryzen AI MAX+ 395), whose memory is the system's.
"""


def _row(text: dict[str, str], folder: pathlib.Path) -> Row:
    text |= MISTOLD.get(text["id"], {})
    notes = dict(_notes(text["notes"]))
    notes |= {note: text[column] for column, note in AS_NOTES.items() if text.get(column)}
    if text.get("speculative_tokens") and not text["draft_layers"]:
        notes["draft_untold"] = notes["mtp"]
    if text.get("draft_layers") == "0":
        notes |= {"extra_layers": "0", "mtp": "0", "drafted": text["speculative_tokens"]}
    text.setdefault("n_gpu", "")
    text.setdefault("activation_peak_gib", text.get("activation_gib", ""))
    text.setdefault("non_torch_gib", "")
    text.setdefault("gpu_blocks", "")
    named = notes.get("model_guess", "")
    config = folder / named if named.endswith(".json") else None
    return Row(id=text["id"], text=text, notes=notes, config=config)


def _notes(text: str) -> Iterator[tuple[str, str]]:
    for note in re.split(r"[;]", text):
        name, _, value = note.strip().partition("=")
        if name:
            yield name, value
        if found := re.match(r"MTP(\d+)$", name):
            yield "mtp", found.group(1)


def read_models(folder: pathlib.Path) -> Mapping[str, Mapping[str, Any]]:
    """Return the records under every name that the logs use."""
    document = json.loads((folder / "model_archs.json").read_text(encoding="utf-8"))
    records: dict[str, Mapping[str, Any]] = dict(document["archs"])
    records |= {alias: document["archs"][key] for alias, key in document["aliases"].items()}
    return records


def serving_of(row: Row) -> Serving:
    """Return the flags that a log states."""
    notes = row.notes
    gpu = _gpu(row.text["gpu"])
    shape = re.search(r"@TP(\d+)", row.model)
    ranks = row.whole("tp") or int(notes.get("tp_guess") or (shape.group(1) if shape else 1))
    mtp = int(notes.get("mtp", 0))
    extra = int(notes.get("extra_layers", 0))
    return Serving(
        engine=ENGINES[row.text["engine"]],
        version=_version(row),
        gpu_memory_gib=row.number("gpu_mem_gib") or (gpu.memory_gib if gpu else None),
        gpu_class=gpu.generation if gpu else _class(row.text["gpu"]),
        tensor_parallel=ranks,
        pipeline_parallel=row.whole("pp") or int(notes.get("pp_guess", 1)),
        context_parallel=int(notes.get("dcp", 1)),
        kv_dtype=row.text["kv_cache_dtype"] or "auto",
        block_tokens=row.whole("block_size"),
        max_model_len=row.whole("max_model_len"),
        max_num_batched_tokens=_int(notes.get("max_num_batched_tokens")),
        max_num_seqs=_int(notes.get("max_num_seqs")),
        draft_layers=1 if mtp else extra,
        speculative_tokens=int(notes["drafted"]) if "drafted" in notes else mtp or None,
        prefix_caching=_caching(row),
        hybrid_groups=_hybrid(row.text["notes"]),
    )


def _gpu(name: str) -> Gpu | None:
    """Return the card that a row names, or None where its memory is not known."""
    try:
        return find_gpu(name) if name else None
    except ConfigurationError:
        return None


def _class(name: str) -> GpuClass:
    return GpuClass.ASCEND_310P if "310" in name else GpuClass.OTHER


def _assumed_version(row: Row) -> str | None:
    """Return the version that a log is known to be of though it has no column for it."""
    return "V0" if row.text["engine"] == "aphrodite" else None


def _version(row: Row) -> str | None:
    """Return the version, with the number that a note adds to V0."""
    stated = row.text["engine_version"].split("/")[0]
    numbers = [note for note in row.notes if re.fullmatch(r"\d+\.\d+\.\d+", note)]
    if stated == "V0" and numbers:
        return f"{numbers[0]} V0"
    return stated or _assumed_version(row)


def _int(text: str | None) -> int | None:
    return int(text) if text else None


def _caching(row: Row) -> bool | None:
    stated = row.text.get("prefix_caching")
    if stated:
        return stated == "1"
    return False if "no prefix caching" in row.text["notes"] else None


def _hybrid(notes: str) -> bool | None:
    if "hybrid kv manager disabled" in notes:
        return False
    return True if "hybrid kv manager on" in notes else None


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What a log may have been started with, and which of it the log does not tell."""

    serving: Serving
    untold: str = ""
    """Flags that were tried though the log is silent about them; empty: as it says."""


SILENT = (
    ("version", (("0.13.0", "0.13"), ("0.19.1", "0.19"), ("0.25.1", "0.25"))),
    ("prefix_caching", ((False, "no prefix caching"), (True, "prefix caching"))),
    ("kv_dtype", (("fp8", "a cache in fp8"),)),
    ("state_dtype", (("float16", "states in float16"),)),
)
"""What logs are silent about, and what is tried where one is."""


def settings_of(row: Row, architecture: ModelArchitecture) -> Iterator[Setting]:
    """
    Return what the log may have been started with: as stated, then what it is silent about.

    A log without a version may be of one that prints the older token count; one of a hybrid with
    no word on prefix caching may have it on or off; a quantized checkpoint may declare its cache.
    """
    stated = serving_of(row)
    yield Setting(serving=stated)
    silent = {
        "version": stated.version is None,
        "prefix_caching": stated.prefix_caching is None,
        "kv_dtype": stated.kv_dtype == "auto"
        and architecture.kv_dtype is None
        and (architecture.quantization or "").startswith(("nvfp4", "fp8")),
        "state_dtype": architecture.family == "state hybrid",
    }
    choices = [
        ((field, None, ""), *((field, value, words) for value, words in values))
        for field, values in SILENT
        if silent[field]
    ]
    for chosen in itertools.product(*choices):
        changed: dict[str, Any] = {field: value for field, value, words in chosen if words}
        if changed:
            yield Setting(
                serving=dataclasses.replace(stated, **changed),
                untold=", ".join(words for _, _, words in chosen if words),
            )


def memory_range(row: Row) -> tuple[int, int] | None:
    """Return the least and most bytes that the printed memory may stand for."""
    exact = row.notes.get("avail_bytes")
    if exact is not None:
        zeros = len(exact) - len(exact.rstrip("0"))
        slack = 10**zeros // 2 if zeros > 2 else 0
        return int(exact) - slack, int(exact) + slack
    text = row.text["available_kv_gib"]
    if not text:
        return None
    # SGLang prints the parts (K, V, of each pool), each of them rounded.
    parts = max(1, len(re.findall(r"\b[KV]=", row.text["notes"])))
    half = parts * 0.5 * 10.0 ** -len(text.partition(".")[2])
    return int((float(text) - half) * GIB), int((float(text) + half) * GIB)


def architecture_of_row(row: Row, models: Mapping[str, Mapping[str, Any]]) -> ModelArchitecture:
    """
    Return the architecture of a row's model, with what its name says of the weights.

    Raises:
        ConfigurationError: the row does not name a model, or it is not supported.
    """
    written = row.text["model"] or row.model
    quantization = stored_as(written) or row.text["quantization"] or None
    if row.config is not None:
        document = json.loads(row.config.read_text(encoding="utf-8"))
        return architecture_of(row.config.stem, document, quantization=quantization)
    record = models.get(row.model) or models.get(row.model.partition("@")[0]) or find(row.model)
    if record is None:
        raise ConfigurationError(
            Problem(field="model", got=repr(row.model), allowed="a model that is named and known")
        )
    declared = {key: value for key, value in declared_of(written).items() if key != "source"}
    return architecture_of(row.model, {**record, **declared}, quantization=quantization)
