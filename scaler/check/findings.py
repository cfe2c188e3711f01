"""Findings as a person reads them, and as JSON."""

import itertools
from typing import Any

from .files import Checked
from .finding import Finding


def findings_text(checked: Checked) -> str:
    """Return every finding under its object, errors first, and the sum in the last line."""
    ordered = sorted(checked.findings, key=lambda f: (f.origin, f.object, f.level))
    blocks = [
        "\n".join(
            [
                " ".join(part for part in place if part) or "all objects",
                *(
                    f"  {found.level:<7}  {_where(found)}{found.field}: {found.why}"
                    for found in findings
                ),
            ]
        )
        for place, findings in itertools.groupby(ordered, key=lambda f: (f.origin, f.object))
    ]
    return "\n\n".join([*blocks, _sum(checked)])


def findings_json(checked: Checked) -> dict[str, Any]:
    """Return the findings as a document; ``ok`` is false with any error."""
    return {
        "ok": not checked.errors,
        "errors": checked.errors,
        "warnings": checked.warnings,
        "objects": list(checked.objects),
        "findings": [
            {
                "level": str(finding.level),
                "object": finding.object,
                "file": finding.origin,
                "line": finding.line,
                "trigger": finding.trigger or None,
                "field": finding.field,
                "why": finding.why,
            }
            for finding in checked.findings
        ],
    }


def _where(found: Finding) -> str:
    """Return the place as editors and terminals take it for a link, and which trigger it is."""
    place = "" if found.line is None else f"{found.origin}:{found.line}: "
    return f"{place}trigger {found.trigger}: " if found.trigger else place


def _sum(checked: Checked) -> str:
    counts = (
        _count(checked.errors, "error"),
        _count(checked.warnings, "warning"),
        _count(len(checked.objects), "ScaledObject"),
    )
    return "{}, {} in {}".format(*counts)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number or 'no'} {noun}s"
