"""
Is the scaler itself well: can it read, does it decide in time, does KEDA get its answers.

KEDA waits three seconds on the path to the HPA and then gives up, so the latency panel is the one
that tells whether an answer arrived at all.
"""

from grafana_foundation_sdk.builders import dashboard

from . import marks
from .panels import board, lines, listing, number


def build() -> dashboard.Dashboard:
    """Return the dashboard of the scaler's own health."""
    page = board(
        "kvtide / health of the scaler",
        "kvtide-health",
        "Reading, deciding and answering, per replica of the scaler.",
    )
    page = marks.held(page, 'namespace=~".+"')
    for row in (_now, _reading, _pages, _answering):
        page = row(page)
    return page


def _now(page: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        page.with_row(dashboard.Row("Now"))
        .with_panel(
            number(
                "Replicas of the scaler",
                "That Prometheus can scrape.",
                ("count(kvtide_board_objects)", ""),
            )
        )
        .with_panel(
            number(
                "Objects",
                "ScaledObjects that KEDA asked about.",
                ("max(kvtide_board_objects)", ""),
            )
        )
        .with_panel(
            number(
                "Oldest decision",
                "Age of the newest sample that the stalest decision rests on.",
                ("max(max by (namespace, scaledobject) (kvtide_decision_age_seconds))", ""),
                unit="s",
                thresholds=((30, "orange"), (60, "red")),
            )
        )
        .with_panel(
            number(
                "Held",
                "Objects without an answer for want of data.",
                ("count(max by (namespace, scaledobject) (kvtide_held) > 0) or vector(0)", ""),
                thresholds=((1, "red"),),
            )
        )
        .with_panel(
            number(
                "Source errors in an hour",
                "Failed reads of Prometheus and of the cluster.",
                ("sum(increase(kvtide_source_errors_total[1h])) or vector(0)", ""),
                thresholds=((1, "orange"),),
            )
        )
        .with_panel(
            number(
                "GetMetrics, p99",
                "KEDA gives up after 3 s.",
                (_quantile("kvtide_rpc_seconds", 0.99, 'method="GetMetrics"'), ""),
                unit="s",
                thresholds=((0.1, "orange"), (1, "red")),
            )
        )
    )


def _reading(page: dashboard.Dashboard) -> dashboard.Dashboard:
    return (
        page.with_row(dashboard.Row("Reading and deciding"))
        .with_panel(
            lines(
                "Source errors per minute, by kind",
                "One kind alone points at its cause; the runbooks name them.",
                (
                    "sum by (kind) (rate(kvtide_source_errors_total[$__rate_interval])) * 60",
                    "{{kind}}",
                ),
            )
        )
        .with_panel(
            lines(
                "Time of one tick",
                "Read everything, decide everything. Must stay below the tick's period.",
                (_quantile("kvtide_tick_seconds", 0.5), "p50"),
                (_quantile("kvtide_tick_seconds", 0.99), "p99"),
                unit="s",
            )
        )
        .with_panel(
            lines(
                "Age of decisions, the ten oldest",
                "Grows with the clock: this object's readings have stopped.",
                (
                    "topk(10, max by (namespace, scaledobject) (kvtide_decision_age_seconds))",
                    "{{namespace}}/{{scaledobject}}",
                ),
                unit="s",
                thresholds=((60, "red"),),
            )
        )
    )


def _pages(page: dashboard.Dashboard) -> dashboard.Dashboard:
    pods = "max by (namespace, scaledobject, state) (kvtide_direct_scrape_pods)"
    age = "max by (namespace, scaledobject) (kvtide_direct_scrape_age_seconds)"
    failed = 'rate(kvtide_direct_scrapes_total{outcome!="read"}[$__rate_interval])'
    return (
        page.with_row(dashboard.Row("Between scrapes"))
        .with_panel(
            lines(
                "Pods read between scrapes",
                "Of the objects that state directScrapePort; one unread leaves all of its object to"
                " Prometheus. Empty where the server's directScrape is off.",
                (f"sum by (state) ({pods})", "{{state}}"),
            )
        )
        .with_panel(
            lines(
                "Pages that failed per minute, by outcome",
                "refused and timeout: the port, or a NetworkPolicy. Empty while none failed.",
                (f"sum by (outcome) ({failed}) * 60", "{{outcome}}"),
            )
        )
        .with_panel(
            lines(
                "Age of what pods told, the ten oldest",
                "From three seconds on Prometheus' scrapes count until all pods answer again."
                " Empty where no pod is read.",
                (f"topk(10, {age})", "{{namespace}}/{{scaledobject}}"),
                unit="s",
                thresholds=((3, "orange"),),
            )
        )
    )


def _answering(page: dashboard.Dashboard) -> dashboard.Dashboard:
    calls = "rate(kvtide_rpc_seconds_count[$__rate_interval])"
    failed = 'rate(kvtide_rpc_seconds_count{code!="OK"}[$__rate_interval])'
    desired = "by (namespace, scaledobject) (kvtide_desired_replicas)"
    return (
        page.with_row(dashboard.Row("Answering"))
        .with_panel(
            lines(
                "Calls per second, by method",
                "About 18 a minute for each ScaledObject at KEDA's defaults.",
                (f"sum by (method) ({calls})", "{{method}}"),
                unit="reqps",
            )
        )
        .with_panel(
            lines(
                "Calls that failed per second, by code",
                "UNAVAILABLE: held. INVALID_ARGUMENT: wrong metadata. Others: a defect. "
                "Empty while none failed.",
                (f"sum by (method, code) ({failed})", "{{method}} {{code}}"),
                unit="reqps",
            )
        )
        .with_panel(
            lines(
                "Latency of calls",
                "Answers come from memory; only an object's first call reads Prometheus.",
                (_quantile("kvtide_rpc_seconds", 0.5, by="method"), "p50 {{method}}"),
                (_quantile("kvtide_rpc_seconds", 0.99, by="method"), "p99 {{method}}"),
                unit="s",
            )
        )
        .with_panel(
            lines(
                "Objects, by replica of the scaler",
                "KEDA may ask any replica; each decides all objects it was asked about.",
                ("max by (instance) (kvtide_board_objects)", "{{instance}}"),
                steps=True,
            )
        )
        .with_panel(
            lines(
                "Disagreement between replicas",
                "Largest minus smallest desired count of one object. More than a moment: their "
                "configurations or their Prometheus differ.",
                (f"max {desired} - min {desired}", "{{namespace}}/{{scaledobject}}"),
                steps=True,
            )
        )
        .with_panel(
            listing(
                "Versions",
                "One row per replica of the scaler and the controller.",
                "kvtide_build_info",
            )
        )
    )


def _quantile(histogram: str, quantile: float, selector: str = "", by: str = "") -> str:
    kept = f"le, {by}" if by else "le"
    rates = f"rate({histogram}_bucket{{{selector}}}[$__rate_interval])"
    return f"histogram_quantile({quantile}, sum by ({kept}) ({rates}))"
