"""What claims are tested with: kinds of traffic, a fleet to play them on, how figures read."""

from collections.abc import Iterable

from scaler.decision.window import Window
from scaler.simulation.baselines.catalog import SAFE_RHO
from scaler.simulation.baselines.fixed import FixedFleet
from scaler.simulation.engine import EngineConfig
from scaler.simulation.presets import ENGINE_8B_H100, one_fleet
from scaler.simulation.score import Slo
from scaler.simulation.simulate import Run, Setup, View
from scaler.simulation.traffic import Lengths, Rate, sampled

CHAT = (Lengths(mean_tokens=1155, sigma=0.9), Lengths(mean_tokens=211, sigma=0.9))
CODE = (Lengths(mean_tokens=2048, sigma=0.9), Lengths(mean_tokens=28, sigma=0.9))
SHORT = (Lengths(mean_tokens=64, sigma=0.2), Lengths(mean_tokens=1, sigma=0.0))
INTERACTIVE = Slo()
PATIENT = Slo(ttft_least_s=10.0, ttft_per_prompt_token_s=1 / 800, itl_s=0.25)
Kind = tuple[Lengths, Lengths]
WARM_S = 300.0


class Watched(FixedFleet):
    """A fleet of fixed size whose readings are kept."""

    lookback_s = 65.0

    def __init__(self, *, replicas: int) -> None:
        super().__init__(replicas=replicas)
        self.seen: list[Window] = []

    def act(self, view: View) -> int:
        """Remember what was scraped, once scoring began."""
        window = view.window()
        if window is not None and view.now_s >= WARM_S:
            self.seen.append(window)
        return super().act(view)


def safe_rps(kind: Kind, engine: EngineConfig = ENGINE_8B_H100) -> float:
    """Return the requests per second that keep one replica at the safe utilisation."""
    drawn = list(sampled([rate_of(kind, 100.0, 0, 300)], 7))
    cost = engine.step_cost
    work_s = sum(one.prompt_tokens * cost.c_s + one.output_tokens * cost.b_s for one in drawn)
    return SAFE_RHO * len(drawn) / work_s


def rate_of(kind: Kind, per_s: float, start_s: float, end_s: float) -> Rate:
    """Return a constant rate of a kind of traffic."""
    return Rate(start_s=start_s, end_s=end_s, per_s=per_s, prompt=kind[0], output=kind[1])


def setup_of(
    length_s: float,
    *,
    gpus: int = 40,
    engine: EngineConfig = ENGINE_8B_H100,
    replicas: int = 1,
    slo: Slo = INTERACTIVE,
) -> Setup:
    """Return a pool of single GPUs and a span of which the first minutes are not scored."""
    return Setup(
        replicas=replicas,
        slo=slo,
        cluster=one_fleet(gpus=gpus, engine=engine, seed=1),
        length_s=length_s - WARM_S,
        warm_up_s=WARM_S,
        max_replicas=gpus,
    )


def in_slo(run: Run) -> tuple[str, str]:
    """Return the share in SLO and the 99th percentile of the time to first token."""
    share = run.score.slo_attainment
    return "–" if share is None else f"{100 * share:.1f} %", secs(run.score.ttft_s.p99)


def secs(seconds: float | None) -> str:
    """Return seconds, or that they are not known."""
    return "–" if seconds is None else f"{seconds:.2f} s"


def ms(seconds: float | None) -> str:
    """Return milliseconds, or that they are not known."""
    return "–" if seconds is None else f"{1000 * seconds:.0f} ms"


def mean(values: Iterable[float]) -> float:
    """Return the mean; 0 of nothing."""
    known = list(values)
    return sum(known) / len(known) if known else 0.0
