"""Programs that some tests start: found, or the test skips; under CI it fails instead."""

import os
import shutil

import pytest


def program(name: str, *, get_it: str) -> str:
    """Return the path of a program; without it skip the test, or fail it where CI is set."""
    path = shutil.which(name)
    if path is not None:
        return path
    message = f"{name} is absent: {get_it}"
    if os.environ.get("CI"):
        pytest.fail(message)
    pytest.skip(message)
