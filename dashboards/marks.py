"""
What happened, as marks on every panel: counts that changed, panics, holds and reclaims.

An annotation of Grafana's Prometheus source is drawn where its expression is 1; neighbours are one
stretch.
"""

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from .panels import SOURCE

_WHO = "{{namespace}}/{{scaledobject}}"


class Mark(Builder[models.AnnotationQuery]):
    """An annotation, with the texts that the source reads and Grafana's schema leaves out."""

    def __init__(self, name: str, expression: str, colour: str, text: str) -> None:
        self._made = _Query(name=name, datasource=SOURCE, expr=expression, icon_color=colour)
        self._made.text = text

    def build(self) -> models.AnnotationQuery:
        """Return what goes into the dashboard."""
        return self._made


class _Query(models.AnnotationQuery):
    text = ""

    def to_json(self) -> dict[str, object]:
        """Return it as a dashboard's JSON has it."""
        texts = {"titleFormat": self.name, "textFormat": self.text, "step": "15s"}
        return super().to_json() | texts


def scaled(page: dashboard.Dashboard, selector: str) -> dashboard.Dashboard:
    """Mark each change of a count; ``selector`` chooses the objects."""
    now = f"max by (namespace, scaledobject) (kvtide_desired_replicas{{{selector}}})"
    before = now.replace("})", "} offset $__interval)")
    return page.annotation(Mark("Scaled", f"({now} != {before}) * 0 + 1", "blue", _WHO))


def panicked(page: dashboard.Dashboard, selector: str) -> dashboard.Dashboard:
    """Mark where a panic window rules."""
    panic = f"max by (namespace, scaledobject) (kvtide_panic{{{selector}}}) == 1"
    return page.annotation(Mark("Panic", panic, "orange", _WHO))


def held(page: dashboard.Dashboard, selector: str) -> dashboard.Dashboard:
    """Mark where there is no answer."""
    hold = f"max by (namespace, scaledobject, reason) (kvtide_held{{{selector}}}) == 1"
    return page.annotation(Mark("Held", hold, "red", f"{_WHO}: {{{{reason}}}}"))


def reclaimed(page: dashboard.Dashboard, selector: str) -> dashboard.Dashboard:
    """Mark where everything lent is taken back."""
    now = f"max by (namespace, scaledobject) (kvtide_lent_workers{{{selector}}})"
    before = now.replace("})", "} offset $__interval)")
    return page.annotation(Mark("Reclaimed", f"({now} == 0 and {before} > 0) + 1", "purple", _WHO))
