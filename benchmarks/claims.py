"""
What is said about elastic LLM inference, measured: the figures of docs/claims.md.

    python -m benchmarks.claims [signals|requests_per_second|panic|batch|tiers|prices|…]…

Simulated time, one engine with continuous batching (an 8B model on an H100 unless stated), seeded:
the same command prints the same figures.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence

from benchmarks.claim_lending import mig, nodes
from benchmarks.claim_panic import panic
from benchmarks.claim_signals import batch, requests_per_second, signals
from benchmarks.claim_starts import cold_starts
from benchmarks.claim_tiers import prices, tiers

CLAIMS: dict[str, Callable[[], Iterator[Sequence[object]]]] = {
    "signals": signals,
    "requests_per_second": requests_per_second,
    "panic": panic,
    "batch": batch,
    "tiers": tiers,
    "prices": prices,
    "cold_starts": cold_starts,
    "nodes": nodes,
    "mig": mig,
}


def main() -> None:
    """Print the named claims' figures as tables, or all of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument("claims", nargs="*", metavar="CLAIM", help=", ".join(CLAIMS))
    for name in parser.parse_args().claims or CLAIMS:
        if name not in CLAIMS:
            parser.error(f"{name}: one of {', '.join(CLAIMS)}")
        doc = CLAIMS[name].__doc__ or ""
        print(f"\n{name}: {doc.splitlines()[0]}\n")
        for number, row in enumerate(CLAIMS[name]()):
            print("| " + " | ".join(map(str, row)) + " |", flush=True)
            if number == 0:
                print("|" + "---|" * len(row))


if __name__ == "__main__":
    main()
