"""
Traces, captures and start-up logs that are too large to commit.

They lie in ``$KVTIDE_DATA``, else in ``../shared/data`` beside the checkout; tests that read them
skip, saying so, where they are absent.
"""

import os
import pathlib

import pytest

ROOT = pathlib.Path(__file__).parent.parent


def shared_data(*parts: str) -> pathlib.Path:
    """Return the path of a shared file, or skip the test that asks."""
    stated = os.environ.get("KVTIDE_DATA")
    folder = pathlib.Path(stated) if stated else ROOT.parent / "shared" / "data"
    path = folder.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"{path} is absent: set KVTIDE_DATA to the folder that has {'/'.join(parts)}")
    return path
