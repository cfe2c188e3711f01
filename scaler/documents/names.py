"""How Kubernetes and Prometheus things are named in a document: targets, members, labels."""

import dataclasses

from scaler.numerals import matching

from .forms import Form, choice, listed

LABEL = r"[a-zA-Z_][a-zA-Z0-9_]*"
NAME = r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?"
MODEL_NAME = r"[A-Za-z0-9][-A-Za-z0-9_.]{0,127}(?:/[A-Za-z0-9][-A-Za-z0-9_.]{0,127})?"
KIND = r"[A-Z][A-Za-z0-9]{0,62}"
INFERENCE_KINDS = ("Deployment", "StatefulSet", "LeaderWorkerSet", "Rollout")
"""Kinds whose pods are told by their names; pods of other kinds need a selector."""


@dataclasses.dataclass(frozen=True, slots=True)
class ScaleTarget:
    """What is scaled, as ``Kind/name``."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.name}"


def _read_target(text: str) -> ScaleTarget:
    return ScaleTarget(*matching(f"{KIND}/{NAME}", text).group().split("/"))


def _read_label(text: str) -> tuple[str, str]:
    name, _, value = matching(PAIR, text).group().partition("=")
    return name, value


_PORT = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
PAIR = rf"{LABEL}=[A-Za-z0-9][-A-Za-z0-9_./:@+]*"
TARGET = Form(
    read=_read_target,
    write=str,
    noun="Kind/name",
    allowed="Kind/name such as Deployment/chat or LeaderWorkerSet/chat",
    pattern=f"{KIND}/{NAME}",
)
OBJECT = Form(
    read=lambda text: matching(NAME, text).group(),
    write=str,
    noun="name",
    allowed="the name of a Kubernetes object: lower case, digits, - and .",
    pattern=NAME,
)
LABELS = listed(
    Form(
        read=_read_label,
        write="=".join,
        noun="label=value",
        allowed="label=value with Prometheus' label names, such as app=chat",
        pattern=PAIR,
    )
)
MEMBERS = listed(
    Form(
        read=lambda text: matching(f"{NAME}/{NAME}", text).group(),
        write=str,
        noun="namespace/scaledobject",
        allowed="namespace/scaledobject such as llm/chat",
        pattern=f"{NAME}/{NAME}",
    )
)
CONFIGURED = Form(
    read=lambda text: matching(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,62}", text).group(),
    write=str,
    noun="name",
    allowed="a name of letters, digits, - _ and .",
    pattern=r"[A-Za-z0-9][-A-Za-z0-9_.]{0,62}",
)
PORT = Form(
    read=lambda text: int(matching(_PORT, text).group()),
    write=str,
    noun="port",
    allowed="a port such as 8000, 1 to 65535",
    pattern=_PORT,
)
PRESET = choice(["knative"])
MODEL = Form(
    read=lambda text: matching(MODEL_NAME, text).group(),
    write=str,
    noun="name",
    allowed="a model's name such as meta-llama/Llama-3.1-8B-Instruct",
    pattern=MODEL_NAME,
)
"""A name and never a path: whoever writes metadata reads no files of the scaler."""
