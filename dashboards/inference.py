"""
Why this many replicas: one inference workload from its demand to its GPUs.

Read it from top to bottom: what was decided and why, what a replica can hold, what the engine
says, what the GPU says. Several replicas of the scaler agree, so ``max`` picks any of them.
"""

from grafana_foundation_sdk.builders import dashboard

from . import engines, marks
from .engine_series import slo_share
from .panels import board, choice, lines, number, object_page, states

OBJECT = 'namespace=~"$namespace", scaledobject=~"$scaledobject"'


def build() -> dashboard.Dashboard:
    """Return the dashboard of inference workloads."""
    page = (
        board(
            "kvtide / inference",
            "kvtide-inference",
            "Replicas of inference workloads: decided from requests in flight and waiting, "
            "against what one replica can safely hold.",
        )
        .with_variable(
            choice(
                "namespace", 'label_values(kvtide_desired_replicas{role="inference"}, namespace)'
            )
        )
        .with_variable(
            choice(
                "scaledobject",
                'label_values(kvtide_desired_replicas{role="inference", namespace=~"$namespace"}, '
                "scaledobject)",
            )
        )
    )
    for variable in (*engines.variables(), *engines.objectives()):
        page = page.with_variable(variable)
    for happened in (marks.scaled, marks.panicked, marks.held):
        page = happened(page, f'{OBJECT}, role="inference"')
    for row in (_now, _decision, _objectives, engines.row, _gpu):
        page = row(page)
    return page


def by_object(metric: str, *labels: str, role: str = "inference") -> str:
    """Return one series per ScaledObject (and per further label) of one of our gauges."""
    kept = ", ".join(("namespace", "scaledobject", *labels))
    return f'max by ({kept}) ({metric}{{{OBJECT}, role="{role}"}})'


def _now(page: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        page.with_row(dashboard.Row("Now"))
        .with_panel(
            number(
                "Desired replicas",
                "What KEDA is told, summed over the chosen workloads.",
                (f"sum({by_object('kvtide_desired_replicas')})", ""),
            )
        )
        .with_panel(
            number(
                "Ready replicas",
                "Replicas that serve. Below desired for long: pods do not start.",
                (f"sum({by_object('kvtide_ready_replicas')})", ""),
            )
        )
        .with_panel(
            number(
                "Load",
                "In full replicas: 3.0 fills three replicas to their safe concurrency.",
                (f"sum({by_object('kvtide_load')})", ""),
            )
        )
        .with_panel(
            number(
                "Utilization of ready replicas",
                "Load over ready replicas; scaling aims at 70 % unless stated otherwise.",
                (
                    f"sum({by_object('kvtide_load')}) / sum({by_object('kvtide_ready_replicas')})",
                    "",
                ),
                unit="percentunit",
                thresholds=((0.85, "orange"), (1.0, "red")),
            )
        )
        .with_panel(
            number(
                "In panic",
                "Workloads whose panic window rules: a surge past the panic threshold.",
                (f"sum({by_object('kvtide_panic')})", ""),
                thresholds=((1, "orange"),),
            )
        )
        .with_panel(
            number(
                "Held",
                "Workloads without an answer for want of data: KEDA keeps their replicas.",
                (f"count({by_object('kvtide_held')} > 0) or vector(0)", ""),
                thresholds=((1, "red"),),
            )
        )
    )


def _decision(page: dashboard.Dashboard) -> dashboard.Dashboard:
    name = "{{namespace}}/{{scaledobject}}"
    return (
        page.with_row(dashboard.Row("Decision"))
        .with_panel(
            lines(
                "Replicas",
                "Desired leads; ready follows after a cold start. Load is in full replicas.",
                (by_object("kvtide_desired_replicas"), f"desired {name}"),
                (by_object("kvtide_ready_replicas"), f"ready {name}"),
                (by_object("kvtide_load"), f"load {name}"),
                steps=True,
            ).data_links([object_page()])
        )
        .with_panel(
            lines(
                "Safe concurrency of one replica",
                "Requests one replica may hold at once, and which limit binds: kv (cache), "
                "slo (latency), engine (its own limit) or explicit (stated).",
                (
                    by_object("kvtide_safe_concurrency", "binding_limit"),
                    name + " {{binding_limit}}",
                ),
                steps=True,
            )
        )
        .with_panel(
            lines(
                "Load per ready replica",
                "1.0: every ready replica holds its safe concurrency.",
                (f"{by_object('kvtide_load')} / {by_object('kvtide_ready_replicas')}", name),
                thresholds=((0.7, "orange"), (1.0, "red")),
            )
        )
        .with_panel(
            states(
                "Panic",
                "While it lasts the fast window rules and the answer never falls.",
                (by_object("kvtide_panic"), name),
                on="panic",
                off="stable",
                colour="orange",
            )
        )
        .with_panel(
            states(
                "Held, by reason",
                "No answer was possible; KEDA keeps spec.replicas. `kvtide explain` has details.",
                (by_object("kvtide_held", "reason"), name + " {{reason}}"),
                on="held",
                off="answered",
                colour="red",
            )
        )
        .with_panel(
            lines(
                "Age of the decision",
                "Of the newest sample it rests on. Normally about a scrape interval.",
                (by_object("kvtide_decision_age_seconds"), name),
                unit="s",
                thresholds=((60, "red"),),
            )
        )
        .with_panel(
            states(
                "Why, by reason",
                "The step that made the answer what it is; empty while held.",
                (
                    f"0 * {by_object('kvtide_desired_replicas', 'reason')} + 1",
                    name + " {{reason}}",
                ),
                on="rules",
                off="",
                colour="blue",
            ).span(24)
        )
    )


def _objectives(page: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        page.with_row(dashboard.Row("Objectives"))
        .with_panel(
            lines(
                "Requests within the objectives",
                "Share of requests whose first token, and of tokens whose gap, came within the "
                "bucket chosen above. Below the agreed share: see what binds the safe concurrency.",
                (slo_share("ttft", "ttft"), "first token {{namespace}}"),
                (slo_share("itl", "gap"), "gap {{namespace}}"),
                unit="percentunit",
                most=1,
            ).span(12)
        )
        .with_panel(
            number(
                "First token within the objective",
                "Over the time shown, all requests of the chosen namespaces and models.",
                (f"min({slo_share('ttft', 'ttft', over='$__range')})", ""),
                unit="percentunit",
            ).height(8)
        )
        .with_panel(
            number(
                "Gap between tokens within the objective",
                "Over the time shown; vLLM counts the gap of each token.",
                (f"min({slo_share('itl', 'gap', over='$__range')})", ""),
                unit="percentunit",
            ).height(8)
        )
        .with_panel(
            number(
                "GPU-hours served",
                "GPUs and slices that pods of the chosen namespaces held, summed over the time "
                "shown.",
                (
                    f"sum(sum_over_time(({_held_gpus()})[$__range:1m])) / 60",
                    "",
                ),
                unit="h",
            ).height(8)
        )
    )


def _held_gpus() -> str:
    return f"count({gpu_series('DCGM_FI_DEV_FB_USED')})"


def _gpu(page: dashboard.Dashboard) -> dashboard.Dashboard:
    used, free = gpu_series("DCGM_FI_DEV_FB_USED"), gpu_series("DCGM_FI_DEV_FB_FREE")
    name = "{{pod}} gpu {{gpu}} {{GPU_I_PROFILE}}"
    return (
        page.with_row(dashboard.Row("GPU"))
        .with_panel(
            lines(
                "GPU memory used",
                "vLLM takes its share at the start and stays flat: a watch against overcommitting, "
                "not a measure of load.",
                (f"{used} / ({used} + {free})", name),
                unit="percentunit",
                most=1,
                thresholds=((0.9, "orange"),),
            )
        )
        .with_panel(
            lines(
                "GPU memory used, MiB",
                "Framebuffer in use, as CUDA reports it.",
                (used, name),
                unit="mbytes",
            )
        )
        .with_panel(
            lines(
                "Tensor cores active",
                "Share of time in which they computed. Low while busy: decoding waits for memory, "
                "and a larger batch is nearly free.",
                (gpu_series("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"), name),
                unit="percentunit",
                most=1,
            )
        )
        .with_panel(
            lines(
                "Temperature",
                "Near the slowdown temperature of the model clocks fall, and so does throughput.",
                (gpu_series("DCGM_FI_DEV_GPU_TEMP"), name),
                unit="celsius",
            )
        )
        .with_panel(
            lines(
                "Power",
                "At the power limit the GPU slows down: more requests take longer, not less.",
                (gpu_series("DCGM_FI_DEV_POWER_USAGE"), name),
                unit="watt",
            )
        )
        .with_panel(
            lines(
                "Clocks",
                "Of the multiprocessors and the memory. A fall while busy is throttling.",
                (gpu_series("DCGM_FI_DEV_SM_CLOCK"), f"SM {name}"),
                (gpu_series("DCGM_FI_DEV_MEM_CLOCK"), f"memory {name}"),
                unit="rotmhz",
            )
        )
        .with_panel(
            lines(
                "GPU utilization",
                "Share of time any kernel ran, as nvidia-smi shows it; absent on MIG slices.",
                (gpu_series("DCGM_FI_DEV_GPU_UTIL"), name),
                unit="percent",
                most=100,
            )
        )
        .with_panel(
            lines(
                "Graphics engine active",
                "Share of time any kernel ran, per GPU or MIG slice. An engine is busy from half "
                "load on, so this is a companion, never the measure.",
                (gpu_series("DCGM_FI_PROF_GR_ENGINE_ACTIVE"), name),
                unit="percentunit",
                most=1,
            )
        )
    )


def gpu_series(metric: str) -> str:
    """
    Return a GPU reading by pod and GPU, wherever the pod's own labels ended up.

    With ``honorLabels: false`` (the DCGM exporter's chart) Prometheus keeps the exporter's pod in
    ``pod`` and moves the user's to ``exported_pod``.
    """
    kept = "namespace, pod, gpu, UUID, GPU_I_PROFILE, GPU_I_ID"
    moved = f'{metric}{{exported_namespace=~"$namespace", exported_pod!=""}}'
    for label in ("namespace", "pod"):
        moved = f'label_replace({moved}, "{label}", "$1", "exported_{label}", "(.+)")'
    kept_own = f'{metric}{{namespace=~"$namespace", pod!="", exported_pod=""}}'
    return f"max by ({kept}) ({moved} or {kept_own})"
