"""Files that are named on a command line: read if they are files."""

import os
import pathlib

import pytest

from scaler.errors import ConfigurationError
from scaler.files import read_text


def test_a_files_text_is_read_up_to_its_bound(tmp_path):
    (tmp_path / "a").write_text("ä")

    assert read_text(tmp_path / "a") == "ä"
    assert read_text(tmp_path / "a", most=2) == "ä"
    with pytest.raises(ConfigurationError, match="a: cannot be read: more than 1 bytes"):
        read_text(tmp_path / "a", most=1)


@pytest.fixture
def folder(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "latin").write_bytes(b"\xe4")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("pipe", "no regular file"),
        ("folder", "Is a directory"),
        ("latin", "bytes that are not UTF-8"),
        ("absent", "No such file"),
        ("loop", "Too many levels"),
        ("n" * 300, "name too long"),
        ("a\0b", "null byte"),
        ("/dev/zero", "no regular file"),
    ],
)
def test_what_is_no_readable_file_says_so_at_once(folder, name, why):
    with pytest.raises(ConfigurationError, match=why) as caught:
        read_text(folder / name)
    assert caught.value.problems[0].field == str(folder / name)


def test_a_field_is_named_before_its_file(folder):
    with pytest.raises(
        ConfigurationError, match=r"^model: cannot be read: .*pipe \(no regular file\)"
    ):
        read_text(pathlib.Path(folder / "pipe"), field="model")
