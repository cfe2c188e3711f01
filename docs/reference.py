"""
Write the pages and JSON Schemas that are made from the code: ``python -m docs.reference``.

``make generate`` runs it; a test fails while a written file differs from what this makes.
"""

import json
import pathlib

from scaler.documents.reference import configuration_page, metadata_page
from scaler.documents.schema import configuration_schema, metadata_schema

HERE = pathlib.Path(__file__).parent


def made() -> dict[str, str]:
    """Return the text of every file, by name."""
    return {
        "metadata.md": metadata_page(),
        "metadata.schema.json": _json(metadata_schema()),
        "configuration.md": configuration_page(),
        "configuration.schema.json": _json(configuration_schema()),
    }


def _json(document: object) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for name, text in made().items():
        (HERE / name).write_text(text, encoding="utf-8")
