"""What a command prints on standard output: text, or one JSON document."""

import json
from collections.abc import Mapping
from typing import Any


def show(result: str | Mapping[str, Any]) -> None:
    """Print a text as it is, and anything else as JSON."""
    print(result if isinstance(result, str) else json.dumps(result, indent=2, ensure_ascii=False))
