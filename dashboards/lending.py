"""
Who works on the GPUs: what online load leaves idle, what training borrows, how fast it returns.

The lines at 30 and 70 % are the defaults of ``lendBelow`` and ``reclaimAbove``; an object that
states others crosses them elsewhere.
"""

from grafana_foundation_sdk.builders import dashboard

from . import marks
from .inference import by_object, gpu_series
from .panels import board, choice, lines, number, states

TRAINING = 'namespace=~"$namespace", scaledobject=~"$scaledobject"'
NAME = "{{namespace}}/{{scaledobject}}"


def build() -> dashboard.Dashboard:
    """Return the dashboard of lending."""
    page = (
        board(
            "kvtide / lending",
            "kvtide-lending",
            "Training workers on the GPUs that inference leaves idle: lent below 30 % online load, "
            "taken back above 70 %.",
        )
        .with_variable(
            choice("namespace", 'label_values(kvtide_desired_replicas{role="training"}, namespace)')
        )
        .with_variable(
            choice(
                "scaledobject",
                'label_values(kvtide_desired_replicas{role="training", namespace=~"$namespace"}, '
                "scaledobject)",
            )
        )
    )
    for happened in (marks.scaled, marks.reclaimed, marks.held):
        page = happened(page, f'{TRAINING}, role="training"')
    for row in (_now, _hours, _course, _gpu):
        page = row(page)
    return page


def _training(metric: str, *labels: str) -> str:
    return by_object(metric, *labels, role="training")


def _inference(metric: str) -> str:
    return f'sum(max by (namespace, scaledobject) ({metric}{{role="inference"}}))'


def _now(page: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        page.with_row(dashboard.Row("Now"))
        .with_panel(
            number(
                "Online load",
                "Share of the pool that inference needs; the fullest of the chosen pools.",
                (f"max({_training('kvtide_online_load')})", ""),
                unit="percentunit",
                thresholds=((0.3, "yellow"), (0.7, "red")),
            )
        )
        .with_panel(
            number(
                "Workers lent",
                "Training workers that may run now.",
                (f"sum({_training('kvtide_lent_workers')})", ""),
            )
        )
        .with_panel(
            number(
                "Workers running",
                "Training workers that do run.",
                (f"sum({_training('kvtide_ready_replicas')})", ""),
            )
        )
        .with_panel(
            number(
                "Reclaims in a day",
                "How often everything was taken back in the last 24 hours.",
                (f"sum(increase(kvtide_reclaim_seconds_count{{{TRAINING}}}[1d]))", ""),
            )
        )
        .with_panel(
            number(
                "Reclaim time, p99 of a day",
                "From the decision until the workers were gone. Empty while nothing was reclaimed.",
                (_reclaim(0.99, "1d"), ""),
                unit="s",
                thresholds=((60, "orange"), (120, "red")),
            )
        )
        .with_panel(
            number(
                "Held",
                "Borrowers without an answer for want of data: nothing new is lent.",
                (f"count({_training('kvtide_held')} > 0) or vector(0)", ""),
                thresholds=((1, "red"),),
            )
        )
    )


def _hours(page: dashboard.Dashboard) -> dashboard.Dashboard:
    served, lent = _units("serving|loading"), _units("lent|reclaiming")
    known = f"count_over_time(({served})[$__range:1m])"
    saved = f"max_over_time(({served})[$__range:1m]) * {known} - {_over_time(served)}"
    return (
        page.with_row(dashboard.Row("GPU-hours over the time shown"))
        .with_panel(
            number(
                "Served",
                "Units of the pool that inference held, times hours. Choose one of the borrowers "
                "that share a pool, or their pool counts twice.",
                (f"{_over_time(served)} / 60", ""),
                unit="h",
            )
        )
        .with_panel(
            number(
                "Lent",
                "Units that training held, times hours: work that found room beside inference.",
                (f"{_over_time(lent)} / 60", ""),
                unit="h",
            )
        )
        .with_panel(
            number(
                "Saved",
                "What inference would have held beside this, had its highest count stood all the "
                "time.",
                (f"({saved}) / 60", ""),
                unit="h",
            )
        )
        .with_panel(
            lines(
                "Who holds the pool",
                "Units by use. Free ones while lending is on: no workers to run, or none that fit.",
                (_units(".+", by="use"), "{{use}}"),
                steps=True,
                stacked=True,
            ).span(12)
        )
    )


def _units(uses: str, by: str | None = None) -> str:
    seen = f'max by (namespace, scaledobject, use) (kvtide_pool_units{{{TRAINING}, use=~"{uses}"}})'
    return f"sum by ({by}) ({seen})" if by else f"sum({seen})"


def _over_time(units: str) -> str:
    """Return unit-minutes."""
    return f"sum_over_time(({units})[$__range:1m])"


def _course(page: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        page.with_row(dashboard.Row("Shave the peak, fill the valley"))
        .with_panel(
            lines(
                "Online load",
                "A whole stable window below the lower line lets training in; the panic window "
                "above the upper one takes everything back. In between workers may only shrink.",
                (_training("kvtide_online_load"), NAME),
                unit="percentunit",
                thresholds=((0.3, "yellow"), (0.7, "red")),
            )
        )
        .with_panel(
            lines(
                "Workers",
                "Running above lent for longer than the checkpoint grace: GPUs do not come back.",
                (_training("kvtide_lent_workers"), f"lent {NAME}"),
                (_training("kvtide_ready_replicas"), f"running {NAME}"),
                steps=True,
            )
        )
        .with_panel(
            lines(
                "Reclaim time",
                "From the decision until the workers were gone. Empty while nothing was reclaimed.",
                (_reclaim(0.5, "1h"), "p50"),
                (_reclaim(0.99, "1h"), "p99"),
                unit="s",
            )
        )
        .with_panel(
            states(
                "Held, by reason",
                "Online load is not known; after blindReclaimAfter everything is taken back.",
                (_training("kvtide_held", "reason"), NAME + " {{reason}}"),
                on="held",
                off="answered",
                colour="red",
            )
        )
        .with_panel(
            lines(
                "Inference desired and ready, all workloads",
                "Who the GPUs were taken back for.",
                (_inference("kvtide_desired_replicas"), "desired"),
                (_inference("kvtide_ready_replicas"), "ready"),
                steps=True,
            )
        )
        .with_panel(
            lines(
                "Inference in panic, all workloads",
                "A surge: reclaims follow when it crosses the upper line.",
                (_inference("kvtide_panic"), "in panic"),
                steps=True,
            )
        )
    )


def _gpu(page: dashboard.Dashboard) -> dashboard.Dashboard:
    everywhere = gpu_series("DCGM_FI_PROF_GR_ENGINE_ACTIVE").replace("$namespace", ".+")
    return (
        page.with_row(dashboard.Row("GPUs of the cluster"))
        .with_panel(
            lines(
                "Graphics engine active, mean by namespace",
                "Training busy while online load is low: the valley is filled.",
                (f"avg by (namespace) ({everywhere})", "{{namespace}}"),
                unit="percentunit",
                most=1,
            ).span(12)
        )
        .with_panel(
            lines(
                "GPUs and slices held, by namespace",
                "Counted by the pods that hold them.",
                (f"count by (namespace) ({everywhere})", "{{namespace}}"),
                steps=True,
            ).span(12)
        )
    )


def _reclaim(quantile: float, window: str) -> str:
    grown = f"increase(kvtide_reclaim_seconds_bucket{{{TRAINING}}}[{window}])"
    return f"histogram_quantile({quantile}, sum by (le) ({grown}))"
