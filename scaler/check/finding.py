"""What ``kvtide check`` finds in a document: an error or a warning, and why it is one."""

import dataclasses
import enum

from scaler.errors import Problem

METADATA = "spec.triggers.metadata."
"""Where a trigger's own keys stand."""


class Level(enum.StrEnum):
    """An error does not work, or harms; a warning works in a way that few people want."""

    ERROR = "error"
    WARNING = "warning"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong or unwise, where it stands, and why."""

    level: Level
    field: str
    """Path within the object: ``spec.cooldownPeriod``."""
    why: str
    """What happens because of it, and what to write instead."""
    object: str = ""
    """``namespace/name`` of the ScaledObject; empty: all of them."""
    origin: str = ""
    """The file."""
    line: int | None = None
    """Where the field stands in it, or what it would stand in; None: in no one place."""
    trigger: str = ""
    """The trigger that it is about: its place among the object's, and its type."""

    @classmethod
    def of(cls, problem: Problem, key: str, origin: str, within: str = "") -> "Finding":
        """Return a problem of a document as the error that it is."""
        return cls(
            level=Level.ERROR,
            field=f"{within}{problem.field}",
            why=problem.said,
            object=key,
            origin=origin,
        )


def error(field: str, why: str) -> Finding:
    return Finding(level=Level.ERROR, field=field, why=why)


def warning(field: str, why: str) -> Finding:
    return Finding(level=Level.WARNING, field=field, why=why)
