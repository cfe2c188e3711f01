"""
How our panels look, said once: what a panel shows is in the dashboards, not here.

A legend always sits below, a tooltip shows every series, and a panel's description tells the
reader what to conclude from it, not which query it runs.
"""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.builders import text as text_panel
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus as prometheus_models
from grafana_foundation_sdk.models import text as text_models

from scaler.settings import RUNBOOKS

Query = tuple[str, str]
"""A PromQL expression and the legend of its series."""

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")


STATUS_PAGE = "http://localhost:8080"
"""Where ``kubectl port-forward`` brings the status page; the chart puts its own address here."""


def links(text: str) -> text_panel.Panel:
    """Return a line of links, in Markdown, above everything."""
    return (
        text_panel.Panel()
        .title("Where to read on")
        .description("The chain of reasons behind each number is on the status page.")
        .datasource(SOURCE)
        .mode(text_models.TextMode.MARKDOWN)
        .content(text)
        .height(2)
        .span(24)
    )


def board(title: str, uid: str, description: str) -> dashboard.Dashboard:
    """Return a dashboard with the data source to choose, and what to read on."""
    runbooks = f"[Runbooks]({RUNBOOKS})"
    return (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags(["kvtide"])
        .timezone("browser")
        .time("now-3h", "now")
        .refresh("30s")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("kvtide")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["kvtide"])
            .as_dropdown(True)  # noqa: FBT003  the builder's signature
            .keep_time(True)  # noqa: FBT003
        )
        .with_variable(dashboard.DatasourceVariable("datasource").type("prometheus"))
        .with_variable(
            dashboard.TextBoxVariable("status_page").label("Status page").default_value(STATUS_PAGE)
        )
        .with_panel(links(f"[Status page](${{status_page}}) · {runbooks}"))
    )


def object_page() -> dashboard.DashboardLink:
    """Return a link from a line to the page of the object that it is about."""
    labels = "${__field.labels.namespace}/${__field.labels.scaledobject}"
    return dashboard.DashboardLink("Why this number").url(f"${{status_page}}/objects/{labels}")


def choice(name: str, query: str, *, many: bool = True) -> dashboard.QueryVariable:
    """Return a variable that lists a label's values; All matches everything, absent included."""
    everything = models.VariableOption(text="All", value="$__all", selected=True)
    variable = (
        dashboard.QueryVariable(name)
        .datasource(SOURCE)
        .query(query)
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
        .multi(many)
    )
    return variable.include_all(True).all_value(".*").current(everything) if many else variable  # noqa: FBT003


def lines(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    most: float | None = None,
    thresholds: Sequence[tuple[float, str]] = (),
    steps: bool = False,
    stacked: bool = False,
) -> timeseries.Panel:
    """
    Return a panel of lines from zero.

    Thresholds are drawn as dashed lines; with ``steps`` a value holds until the next one, which is
    how counts of replicas change; ``stacked`` are shares of one whole.
    """
    panel = (
        timeseries.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .height(8)
        .span(8)
        .unit(unit)
        .min(0)
        .line_width(1)
        .fill_opacity(8)
        .show_points(common_models.VisibilityMode.NEVER)
        .legend(_legend())
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
        .targets(_targets(queries))
    )
    if most is not None:
        panel = panel.max(most)
    if stacked:
        whole = common.StackingConfig().mode(common_models.StackingMode.NORMAL)
        panel = panel.stacking(whole).fill_opacity(40)
    if steps:
        panel = panel.line_interpolation(common_models.LineInterpolation.STEP_AFTER)
    if thresholds:
        panel = panel.thresholds(_thresholds(thresholds)).thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_models.GraphThresholdsStyleMode.DASHED)
        )
    return panel


def states(
    title: str, description: str, *queries: Query, on: str, off: str, colour: str
) -> statetimeline.Panel:
    """Return a band per series that tells 1 (``on``) from 0 (``off``)."""
    mapping = models.ValueMap(
        options={
            "0": models.ValueMappingResult(text=off, color="transparent", index=0),
            "1": models.ValueMappingResult(text=on, color=colour, index=1),
        }
    )
    return (
        statetimeline.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .height(8)
        .span(8)
        .mappings([mapping])
        .show_value(common_models.VisibilityMode.NEVER)
        .legend(_legend())
        .targets(_targets(queries))
    )


def number(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str = "short",
    thresholds: Sequence[tuple[float, str]] = (),
) -> stat.Panel:
    """Return the newest value in large type, with its recent course behind it."""
    panel = (
        stat.Panel()
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .height(4)
        .span(4)
        .unit(unit)
        .graph_mode(common_models.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
        .targets(_targets([query]))
    )
    return panel.thresholds(_thresholds(thresholds)) if thresholds else panel


def listing(title: str, description: str, query: str) -> table.Panel:
    """Return a table of the newest value of each series, one column per label."""
    return (
        table.Panel()
        .show_header(True)  # noqa: FBT003
        .title(title)
        .description(description)
        .datasource(SOURCE)
        .height(8)
        .span(8)
        .with_target(
            prometheus.Dataquery()
            .expr(query)
            .instant()
            .format(prometheus_models.PromQueryFormat.TABLE)
            .ref_id("A")
        )
        .with_transformation(
            models.DataTransformerConfig(
                id_val="organize", options={"excludeByName": {"Time": True, "Value": True}}
            )
        )
    )


def _targets(queries: Sequence[Query]) -> list[Builder[Dataquery]]:
    return [
        prometheus.Dataquery().expr(expression).legend_format(legend).range().ref_id(chr(65 + i))
        for i, (expression, legend) in enumerate(queries)
    ]


def _thresholds(steps: Sequence[tuple[float, str]]) -> dashboard.ThresholdsConfig:
    return (
        dashboard.ThresholdsConfig()
        .mode(models.ThresholdsMode.ABSOLUTE)
        .steps(
            [
                models.Threshold(value=None, color="green"),
                *(models.Threshold(value=value, color=colour) for value, colour in steps),
            ]
        )
    )


def _legend() -> common.VizLegendOptions:
    return (
        common.VizLegendOptions()
        .display_mode(common_models.LegendDisplayMode.LIST)
        .placement(common_models.LegendPlacement.BOTTOM)
        .show_legend(True)  # noqa: FBT003
    )
