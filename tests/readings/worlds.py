"""Exposition text of a small world, and a source's eye on it: tests name what they are about."""

from scaler.readings.assemble import Assembly
from scaler.readings.engines.profile import shipped_profiles
from scaler.readings.scrape import rows_of_page
from scaler.readings.timing import Timing
from scaler.readings.wanted import Exporter
from scaler.source import Workload

NOW_S = 1_000_020.0
"""On the minute, and on the grid of five seconds."""
STEP_S = 5.0
LLM = Workload(namespace="serve", scaled_object="llm", kind="StatefulSet", name="llm")
PROFILES = shipped_profiles()
"""Read once: properties make many observers."""
HONEST = {"namespace": "gpu", "pod": "dcgm-x"}
"""Labels that a scrape gives an exporter which reports on pods other than its own."""


def row(name, value=1.0, /, **labels):
    inside = ",".join(f'{label}="{text}"' for label, text in labels.items())
    return f"{name}{{{inside}}} {value}\n"


def busy(running=2.0, waiting=1.0, **more):
    """Return what a vLLM replica exposes; more metrics by their names without ``vllm:``."""
    values = {"num_requests_running": running, "num_requests_waiting": waiting, **more}
    return "".join(row(f"vllm:{name}", v, engine="0", model_name="m") for name, v in values.items())


class Observer:
    """Puts pages into an assembly the way a source does."""

    def __init__(self, *workloads, timing=None, assembly=None):
        self.workloads = workloads or (LLM,)
        self.assembly = assembly or Assembly(
            profiles=PROFILES,
            timing=timing or Timing(interval_s={Exporter.ENGINE: STEP_S}),
        )

    def scrape(self, at_s, page, **target):
        """Take in a page; the target's labels move the page's own aside, as Prometheus does."""
        by_metric = {
            metric: wanted
            for wanted in self.assembly.wanted(self.workloads)
            for metric in wanted.metrics
        }
        for labels, value in rows_of_page(page, by_metric) or ():
            moved = {(f"exported_{k}" if k in target else k): v for k, v in labels.items()}
            wanted = by_metric[labels["__name__"]]
            self.assembly.take(wanted, {**moved, **target}, [(at_s, value)])

    def round(self, at_s, pods, *others):
        """Take in one page per pod of ``serve``, and pages of exporters, all at one instant."""
        self.assembly.store.next_round()
        for pod, page in pods.items():
            self.scrape(at_s, page, namespace="serve", pod=pod)
        for page in others:
            self.scrape(at_s, page, **HONEST)
        self.assembly.settle(self.workloads)

    def window(self, now_s=NOW_S, lookback_s=60.0, workload=None):
        return self.assembly.window(workload or self.workloads[0], lookback_s, now_s)
