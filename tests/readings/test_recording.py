"""What is written of a window reads back as the same window."""

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaler.capacity.histogram import Histogram
from scaler.decision.sample import Replica, Sample
from scaler.decision.window import Lengths, ScaleBounds, Window
from scaler.errors import ConfigurationError
from scaler.readings.recording import recorded, written
from tests.builders import replica, sample, window

NUMBERS = st.none() | st.floats(0, 1e9) | st.integers(0, 10**9).map(float)
REPLICAS = st.builds(
    Replica,
    name=st.sampled_from(["llm-0", "llm-1"]),
    requests_running=st.none() | st.floats(0, 1e6),
    kv_cache_usage=st.none() | st.floats(0, 1),
    gpu_memory_used_mib=st.none() | st.floats(0, 1e8),
    sleeping=st.booleans(),
)
SAMPLES = st.lists(
    st.builds(
        Sample,
        at_s=st.just(0.0),
        replicas=st.lists(REPLICAS, max_size=2).map(tuple),
        spec_replicas=st.none() | st.integers(0, 9),
        arrivals_total=NUMBERS,
        targets_up=st.none() | st.integers(0, 9),
    ),
    min_size=1,
    max_size=5,
)


@given(SAMPLES, st.integers(0, 4), st.lists(st.floats(0, 900)), st.booleans())
def test_a_window_comes_back_as_it_was(samples, past, startup_s, up_front):
    timed = [
        dataclasses.replace(one, at_s=1000.5 + 5 * number) for number, one in enumerate(samples)
    ]
    past = min(past, len(timed) - 1)
    before = Window(
        samples=tuple(timed[past:]),
        history=tuple(timed[:past]),
        interval_s=5.0,
        startup_s=tuple(startup_s),
        lengths=Lengths(
            prompt_tokens=Histogram(upper=(100.0, float("inf")), counts=(3.0, 0.5)),
        ),
        bounds=ScaleBounds(max_replicas=7, paused=up_front),
        allocates_up_front=up_front,
    )
    name, after = recorded(written(before, workload="serve/llm"))
    assert (name, after) == ("serve/llm", before)


def test_lines_are_json_and_silence_is_not_written():
    lines = list(written(window(sample(5.0, replicas=1, running=2)), workload="serve/llm"))
    assert json.loads(lines[1])["replicas"] == [
        {"name": "llm-0", "requests_running": 2.0, "requests_waiting": 0.0}
    ]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param(lambda lines: [], "line 1: missing; state", id="an empty file"),
        pytest.param(lambda lines: lines[1:], "line 1: .*format kvtide-recording", id="no head"),
        pytest.param(lambda lines: [*lines, "{"], "line 4: got {; .*JSON", id="half a line"),
        pytest.param(lambda lines: lines[:1], "at least one sample", id="no samples"),
        pytest.param(
            lambda lines: [*lines, '{"at_s": 9, "spec": 1}'], "line 4: .*'spec'", id="a new field"
        ),
        pytest.param(
            lambda lines: [*lines, '{"at_s": "nine"}'], "line 4: got at_s is 'nine'", id="a text"
        ),
        *(
            pytest.param(lambda lines, line=line: [*lines, line], says, id=says)
            for line, says in (
                ('{"at_s": NaN}', "line 4: got at_s is nan"),
                ('{"at_s": 1e400}', "line 4: got at_s is inf"),
                ('{"at_s": 15, "ready_replicas": -3}', "ready_replicas is -3"),
                ('{"at_s": 15, "replicas": [{"name": 1}]}', "its name is no text"),
                (
                    '{"at_s": 15, "replicas": [{"name": "a", "requests_running": 1e15}]}',
                    "requests_running is more than it can be",
                ),
                ('{"at_s": 15, "replicas": ' + "[" * 100_000, "line 4: .*one JSON object"),
            )
        ),
        pytest.param(lambda lines: [*lines, lines[1]], "strictly increasing", id="out of order"),
    ],
)
def test_a_file_that_is_no_recording_says_where(change, says):
    made = window(sample(5.0, replicas=0), sample(10.0, replicas=1), interval_s=5.0)
    lines = list(written(made, workload="serve/llm"))
    with pytest.raises(ConfigurationError, match=says):
        recorded(change(lines))


def test_a_replica_that_says_nothing_is_still_there():
    made = window(Sample(at_s=5.0, replicas=(Replica(name="llm-0"), replica("llm-1"))))
    assert recorded(written(made, workload="a/b"))[1] == made
