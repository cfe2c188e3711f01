"""
GPUs by name: the memory that CUDA reports, which is less than the marketing size.

A name is read as drivers, node labels, DCGM and clouds write it, and never widened: a word that is
not understood (``Laptop``, ``Ti``, a size that the card does not come in) is no such card, and a
MIG profile is the memory of its slice. The numbers are what engines' start-up logs and
``nvidia-smi`` print, not datasheets; the table says where each was seen.
"""

import dataclasses
import difflib
import functools
import json
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from scaler.errors import ConfigurationError, Problem
from scaler.said import Said

from .kv_cache import GpuClass

TABLE = pathlib.Path(__file__).with_name("gpus.json")

PROFILE = re.compile(r"(?<![a-z0-9])(?:\d+c[.-])?(\d+)g[.-](\d+)gb(?:[+.-](?:me|gfx)(?:\.all)?)?")
"""A MIG profile: ``3g.40gb``, ``1c.3g.40gb``, ``1g.10gb+me`` (``.me`` in resources and labels)."""
DECORATION = re.compile(
    r"\(.*?\)|\bgpu\s+\d+:|\bdevice\s+\d+:?|^[a-z0-9.-]+/[a-z0-9._-]+[=:](?=.)|nvidia\.com/"
    r"|gpu\.product|gpu_i_profile|modelname|[\"=]"
)
"""What surrounds a name in ``nvidia-smi -L`` and in labels, those of clouds too."""
SAYS_NOTHING = frozenset(
    (
        *("nvidia", "amd", "intel", "huawei", "geforce", "instinct", "gpu", "graphics"),
        *("sxm", "sxm2", "sxm3", "sxm4", "sxm5", "sxm6", "pcie", "oam", "hbm2", "hbm2e", "hbm3"),
        *("hbm3e", "generation", "edition", "server", "workstation", "tensor", "core", "mega"),
        *("shared", "mig", "max", "q", "ac", "cuda", "accelerator", "gddr7", "gddr6"),
    )
)
"""Words of a name that change nothing about the memory, unless they name a card of the table."""
COUNT = re.compile(r"(?<![a-z0-9])(?:(\d+)\s*x|x\s*(\d+))(?![a-z0-9])")
"""How many of a card there are, beside its name: ``8x A100``, ``A100 x 8``."""
MACHINE = re.compile(
    r"^[a-z]+\d[a-z0-9-]*\.(?:\d*x?large|metal)|^standard_n"
    r"|^ml\.|^ecs\.|^(?:a[2-4]|g[24])-(?:[a-z]+gpu|standard)"
)
"""How clouds call machines: ``p5.48xlarge``, ``Standard_NC24ads_A100_v4``, ``a2-ultragpu-1g``."""
NEAR = (0, 0.5)
"""Words with a number that a suggestion shares, and how alike it is: more than this."""
SIZE = re.compile(r"(\d{1,3})(?:gb)?")
OLD_LINE = "tesla"
"""Read only where a name means something by it: Google's nvidia-tesla-a100 has 40 GB."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One kind of GPU, or one MIG slice of it."""

    name: str
    memory_gib: float
    """What CUDA reports as total."""
    generation: GpuClass
    source: str
    """How the memory is known."""
    sliced: bool = False
    """Whether it is a MIG slice of the card."""
    others: tuple[str, ...] = ()
    """Cards that the same name may mean; empty where it means this one alone."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Card:
    """A record of the table."""

    gpu: Gpu
    words: tuple[frozenset[str], ...]
    sizes: frozenset[int]
    default: bool
    slices: Mapping[str, Gpu]

    def fit(self, words: frozenset[str]) -> int:
        """Return how many words name this card, its size included; 0: it is not this card."""
        fits = [self._fit(named, words - named) for named in self.words if named <= words]
        return max(fits, default=0)

    def _fit(self, named: frozenset[str], rest: frozenset[str]) -> int:
        stated = {int(size.group(1)) for word in rest if (size := SIZE.fullmatch(word))}
        understood = all(SIZE.fullmatch(word) for word in rest - SAYS_NOTHING - {OLD_LINE})
        understood = understood and stated <= self.sizes
        return 2 * len(named) + len(stated) if understood else 0


def find_gpu(name: str) -> Gpu:
    """
    Return the GPU or MIG slice that a name means.

    ``H100``, ``nvidia-a100-80gb``, ``NVIDIA-H100-80GB-HBM3-MIG-3g.40gb-SHARED``, a line of
    ``nvidia-smi -L``, ``nvidia.com/mig-3g.71gb``. A name that several cards go by is the one that
    people mean by it, with the others named; where that is not clear it is refused.

    Raises:
        ConfigurationError: no such GPU or profile in the table, or several; near names are told.
    """
    text = DECORATION.sub(" ", name.lower())
    profile = PROFILE.search(text)
    words = _words(PROFILE.sub(" ", text))
    cards = _cards()
    if words - SAYS_NOTHING:
        best = max(card.fit(words) for card in cards)
        cards = tuple(card for card in cards if best and card.fit(words) == best)
    elif profile is None:
        cards = ()
    if not cards:
        raise _unknown(name, words)
    if profile is not None:
        return _slice(name, f"{profile.group(1)}g.{profile.group(2)}gb", cards)
    chosen = [card for card in cards if card.default] if len(cards) > 1 else cards
    if len(chosen) != 1:
        raise _several(name, [card.gpu.name for card in cards])
    return _among(chosen[0].gpu, [card.gpu for card in cards])


def gpu_count(name: str) -> int:
    """Return how many GPUs a name says there are: 8 of ``8x A100 80GB``, 1 where it says none."""
    found = COUNT.search(DECORATION.sub(" ", name.lower()))
    return int(found.group(1) or found.group(2)) if found is not None else 1


def mig_profile(name: str) -> str | None:
    """
    Return the MIG profile in a name, as ``3g.40gb``; None: it names a whole GPU, or no GPU.

    ``nvidia.com/mig-3g.40gb`` and ``mig-1g.10gb.shared`` are resources that device plugins offer.

    Raises:
        ConfigurationError: a profile that no card of the table has; near ones are told.
    """
    found = PROFILE.search(name.lower())
    if found is None:
        return None
    profile = f"{found.group(1)}g.{found.group(2)}gb"
    known = tuple(dict.fromkeys(one for card in _cards() for one in card.slices))
    if profile in known:
        return profile
    near = ", ".join(difflib.get_close_matches(profile, known, n=3, cutoff=0.1))
    raise _problem(name, Said("a profile that a card has, such as {near}", near=near))


def gpus() -> tuple[Gpu, ...]:
    """Return every card of the table and its MIG slices."""
    return tuple(gpu for card in _cards() for gpu in (card.gpu, *card.slices.values()))


def _slice(name: str, profile: str, cards: Sequence[_Card]) -> Gpu:
    """Return the slice of a profile; of several cards' the smallest, if they are of one family."""
    found = [card.slices[profile] for card in cards if profile in card.slices]
    if not found:
        held = dict.fromkeys(gpu.name for card in cards for gpu in card.slices.values())
        near = difflib.get_close_matches(profile, list(held), n=3, cutoff=0.1)
        several = len(cards) > 1
        hint = ", ".join(near if several and near else held) or Said(
            "no MIG profiles of it are known"
        )
        raise _problem(name, Said("a profile of the card ({hint}), or state its memory", hint=hint))
    least = min(found, key=lambda gpu: gpu.memory_gib)
    if len({gpu.generation for gpu in found}) > 1:
        raise _several(name, [gpu.name for gpu in found])
    return _among(least, found)


def _among(chosen: Gpu, found: Sequence[Gpu]) -> Gpu:
    others = tuple(gpu.name for gpu in found if gpu.name != chosen.name)
    return dataclasses.replace(chosen, others=others)


def _several(name: str, names: Sequence[str]) -> ConfigurationError:
    return _problem(
        name, Said("one card: {names} go by this name; or state its memory", names=", ".join(names))
    )


def _unknown(name: str, words: frozenset[str]) -> ConfigurationError:
    known = [card.gpu.name for card in _cards()]
    telling = {word for word in words if any(mark.isdigit() for mark in word)}

    def likeness(full: str) -> tuple[int, float]:
        shared = telling & _words(full.lower())
        return len(shared), difflib.SequenceMatcher(None, full.lower(), name.lower()).ratio()

    if MACHINE.match(name.lower()):
        return _problem(name, Said("a GPU's name: this is a type of machine; state what is in it"))
    near = [full for full in sorted(known, key=likeness, reverse=True)[:3] if likeness(full) > NEAR]
    hint = Said("; did you mean {names}?", names=", ".join(near)) if near else ""
    return _problem(
        name,
        Said(
            "a name that `kvtide capacity --list` shows, or state its memory in GiB{hint}",
            hint=hint,
        ),
    )


def _problem(name: str, allowed: str) -> ConfigurationError:
    return ConfigurationError(Problem(field="gpu", got=repr(name), allowed=allowed))


def _words(text: str) -> frozenset[str]:
    """Return the words of a name that say something; sizes are glued to their unit."""
    glued = re.sub(r"(?<![a-z0-9])(\d+)\s*gi?b?(?![a-z0-9])", r"\1gb", text)
    return frozenset(re.split(r"[^a-z0-9.]+", COUNT.sub(" ", glued))) - {"", "."}


@functools.cache
def _cards() -> tuple[_Card, ...]:
    document = json.loads(TABLE.read_text(encoding="utf-8"))
    return tuple(_card(name, entry) for name, entry in document["gpus"].items())


def _card(name: str, entry: Mapping[str, Any]) -> _Card:
    generation = GpuClass(entry["generation"])
    return _Card(
        gpu=_gpu(name, entry, generation),
        words=tuple(frozenset(words.split()) for words in entry["words"]),
        sizes=frozenset(entry["gb"]),
        default=entry.get("default", False),
        slices={
            profile: dataclasses.replace(_gpu(f"{name}-{profile}", part, generation), sliced=True)
            for profile, part in entry.get("mig", {}).items()
        },
    )


def _gpu(name: str, entry: Mapping[str, Any], generation: GpuClass) -> Gpu:
    memory, source = entry["memory_gib"], entry["source"]
    return Gpu(name=name, memory_gib=memory, generation=generation, source=source)
