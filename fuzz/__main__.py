"""``python -m fuzz NAME SECONDS``: one fuzzer, from its seeds, until it finds something."""

import pathlib
import random
import sys
import tempfile

import atheris

# Beside our own what reads before we do: its turns are where inputs differ.
with atheris.instrument_imports(include=["scaler", "prometheus_client", "yaml"]):
    from .mutate import mutated
    from .seeds import PIECES, SEEDS
    from .targets import TARGETS, WANTED


FOUND = pathlib.Path(__file__).with_name("found")
"""Where inputs that ended unclearly are left."""


_WORDS = (*PIECES, *(name.encode() for name in WANTED))


def main(name: str, seconds: str) -> None:
    """Fuzz one target for some seconds; exit non-zero with the input that ended unclearly."""
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        corpus = pathlib.Path(folder) / "corpus"
        corpus.mkdir()
        for number, seed in enumerate(SEEDS[name]):
            (corpus / str(number)).write_bytes(seed)
        words = pathlib.Path(folder) / "words"
        words.write_text("".join(f'"{_escaped(piece)}"\n' for piece in _WORDS))
        options = [
            f"-max_total_time={seconds}",
            f"-dict={words}",
            "-timeout=10",
            f"-artifact_prefix={FOUND}/",
            "-rss_limit_mb=2048",
        ]
        arguments = [sys.argv[0], *options, str(corpus)]
        for seed in SEEDS[name]:
            TARGETS[name](seed)  # what is read once, such as shipped profiles, is no input's time
        atheris.Setup(arguments, TARGETS[name], custom_mutator=_mutated)
        atheris.Fuzz()


def _mutated(data: bytes, most: int, seed: int) -> bytes:
    return mutated(data, most, random.Random(seed), atheris.Mutate)


def _escaped(piece: bytes) -> str:
    """Return bytes as libFuzzer's dictionaries have them."""
    return "".join(f"\\x{byte:02x}" for byte in piece)


main(*sys.argv[1:])
