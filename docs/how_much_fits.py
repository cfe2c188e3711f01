"""
Draw ``how-much-fits.svg``: what one request holds, by its length, for four kinds of models.

    python docs/how_much_fits.py
"""

import math
import pathlib

from scaler.capacity.kv_cache import GIB, GpuClass, KvLayout, Serving, kv_layout
from scaler.capacity.models import load_model

DRAWN = (
    ("Llama-3.1-8B", "every layer grows", "#4269d0"),
    ("DeepSeek-R1", "a latent per layer", "#ff725c"),
    ("gemma-3-27b", "five of six layers keep a window", "#3ca951"),
    ("Qwen3.5-27B", "three of four layers keep a state", "#a463f2"),
)
SERVING = Serving(version="0.32.0", gpu_class=GpuClass.HOPPER, gpu_memory_gib=79.19)
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 720, 400, 64, 48, 16
SHORTEST, LONGEST = 128, 131_072
LEAST_GIB, MOST_GIB = 2**-7, 2**5


def held_gib(layout: KvLayout, tokens: int) -> float:
    """Return what a request of this many tokens holds on one GPU, GiB."""
    return layout.footprint_blocks(tokens) * layout.bytes_per_block_per_gpu / GIB


def across(tokens: float) -> float:
    """Return the place of a length, logarithmic."""
    share = math.log(tokens / SHORTEST) / math.log(LONGEST / SHORTEST)
    return LEFT + share * (WIDTH - LEFT - 32)


def up(gib: float) -> float:
    """Return the place of a size, logarithmic."""
    share = math.log(gib / LEAST_GIB) / math.log(MOST_GIB / LEAST_GIB)
    return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)


def axes() -> list[str]:
    """Return the grid with its labels."""
    lines = []
    for exponent in range(7, 18, 2):
        x = across(2**exponent)
        lines.append(f'<path class="g" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>')
        lines.append(
            f'<text x="{x:.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{2**exponent:,}</text>"
        )
    for exponent in range(-7, 6, 2):
        y, gib = up(2.0**exponent), 2.0**exponent
        label = f"{gib:g} GiB" if gib >= 1 else f"{gib * 1024:g} MiB"
        lines.append(f'<path class="g" d="M{LEFT} {y:.1f}H{WIDTH - 32}"/>')
        lines.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{label}</text>')
    middle = (LEFT + WIDTH) / 2
    lines.append(
        f'<text x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">'
        "tokens of a request, prompt and output so far</text>"
    )
    return lines


def curve(name: str, label: str, colour: str, place: int) -> list[str]:
    """Return one model's line and its entry in the legend."""
    layout = kv_layout(load_model(name), SERVING)
    lengths = [round(SHORTEST * (LONGEST / SHORTEST) ** (step / 120)) for step in range(121)]
    points = " ".join(
        f"{across(tokens):.1f},{up(held_gib(layout, tokens)):.1f}" for tokens in lengths
    )
    y = TOP + 18 + 18 * place
    return [
        f'<polyline points="{points}" stroke="{colour}"/>',
        f'<text x="{LEFT + 12}" y="{y}" fill="{colour}">{name}: {label}</text>',
    ]


def main() -> None:
    """Write the figure beside this file."""
    body = axes()
    for place, (name, label, colour) in enumerate(DRAWN):
        body += curve(name, label, colour, place)
    style = (
        "<style>text{font:12px sans-serif}polyline{fill:none;stroke-width:2}"
        ".g{stroke:#8884;fill:none}text:not([fill]){fill:#888}</style>"
    )
    label = "GPU memory that one request holds, by its length"
    head = f'viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}"'
    text = "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" {head}>',
            style,
            *body,
            "</svg>\n",
        )
    )
    pathlib.Path(__file__).with_name("how-much-fits.svg").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
