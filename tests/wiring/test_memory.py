"""Whether there is memory for one object more."""

import resource

import pytest

from scaler.wiring.memory import SHARE, has_room, limit_bytes

MIB = 2**20


@pytest.mark.parametrize(
    ("texts", "limit"),
    [
        pytest.param(["536870912\n", None], 512 * MIB, id="version 2"),
        pytest.param([None, "536870912\n"], 512 * MIB, id="version 1"),
        pytest.param(["max\n", None], None, id="no limit"),
        pytest.param([None, "9223372036854771712\n"], None, id="no limit, version 1"),
        pytest.param([None, None], None, id="no cgroup"),
    ],
)
def test_the_limit_is_the_cgroups(tmp_path, texts, limit):
    paths = [tmp_path / str(number) for number in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        if text is not None:
            path.write_text(text)
    assert limit_bytes(paths) == limit


def test_there_is_room_below_a_share_of_it(tmp_path):
    statm, page = tmp_path / "statm", resource.getpagesize()
    for held, room in ((SHARE * 512 - 1, True), (SHARE * 512 + 1, False)):
        statm.write_text(f"1 {int(held * MIB / page)} 3 4")
        assert has_room(512 * MIB, statm) is room
        assert has_room(None, statm)
    assert has_room(512 * MIB, tmp_path / "nowhere")
    assert has_room(None)
    assert not has_room(1)
