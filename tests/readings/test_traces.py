"""Traces of requests and of rates, from files."""

import gzip
import itertools
import os
import re

import pytest

from scaler.errors import ConfigurationError
from scaler.readings.traces import open_trace
from tests.shared_data import shared_data


@pytest.fixture
def trace(tmp_path):
    def write(text, name="trace.csv"):
        path = tmp_path / name
        data = text.encode()
        path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return open_trace(path)

    return write


FORMATS = [
    pytest.param(
        "arrival_s,prompt_tokens,output_tokens\n5.0,100,7\n6.5,20,3\n", "t.csv", id="ours"
    ),
    pytest.param(
        "arrival_s,prompt_tokens,output_tokens\n5.0,100,7\n6.5,20,3\n", "t.csv.gz", id="gzipped"
    ),
    pytest.param(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,100,7\n2023-11-16 18:15:48.1805900,20,3\n",
        "t.csv",
        id="Azure 2023",
    ),
    pytest.param(
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2024-05-10 00:00:00.009930+00:00,100,7\n2024-05-10 00:00:01.509930+00:00,20,3\n",
        "t.csv",
        id="Azure 2024",
    ),
    pytest.param(
        '{"timestamp": 27000, "input_length": 100, "output_length": 7, "hash_ids": [1]}\n'
        '{"timestamp": 28500, "input_length": 20, "output_length": 3, "hash_ids": [2]}\n',
        "t.jsonl",
        id="Mooncake",
    ),
    pytest.param(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
        "5,ChatGPT,100,7,107,Conversation log\n6.5,GPT-4,20,3,23,API log\n",
        "t.csv",
        id="BurstGPT",
    ),
]


@pytest.mark.parametrize(("text", "name"), FORMATS)
def test_each_format_reads_as_the_same_requests(trace, text, name):
    found = trace(text, name)
    assert not found.is_rates
    assert list(found.requests()) == [(0.0, 100, 7), (pytest.approx(1.5), 20, 3)]
    assert list(found.requests()) == [(0.0, 100, 7), (pytest.approx(1.5), 20, 3)]


@pytest.mark.parametrize(
    ("times_ms", "tick_s"),
    [
        pytest.param([at for at in (0, 3000, 5999, 9000, 15002) for _ in range(9)], 3.0, id="3 s"),
        pytest.param([1000 * (n // 4) for n in range(80)], 1.0, id="whole seconds"),
        pytest.param([40 * n for n in range(80)], 0.0, id="as they came"),
        pytest.param([100 * (n // 4) for n in range(80)], 0.0, id="too fine to matter"),
        pytest.param([0, 0, 0, 7100, 7100, 9000, 9000, 30500, 30500], 0.0, id="bursts, no clock"),
        pytest.param([5000], 0.0, id="one"),
    ],
)
def test_times_that_were_written_in_ticks_are_known_by_them(trace, times_ms, tick_s):
    rows = (
        f'{{"timestamp": {at_ms}, "input_length": 9, "output_length": 7}}' for at_ms in times_ms
    )
    assert trace("\n".join(rows), "t.jsonl").tick_s() == tick_s


def test_a_trace_of_rates_has_no_ticks(trace):
    assert trace("window_start_s,rate_rps\n0,1\n60,1\n").tick_s() == 0


def test_requests_that_produced_nothing_are_left_out(trace):
    found = trace("Timestamp,Request tokens,Response tokens\n1,10,0\n2,10,5\n")
    assert list(found.requests()) == [(1.0, 10, 5)]


def test_rates_span_until_the_next_row_and_a_blank_one_is_missing(trace):
    found = trace(
        "window_start_s,rate_rps,prompt_tokens_mean,output_tokens_mean\n"
        "0,2.5,100,\n600,,100,10\n1200,4,200,20\n"
    )
    assert found.is_rates
    assert list(found.rates()) == [(0, 600, 2.5, 100, None), (1200, 1800, 4, 200, 20)]


def test_rates_per_minute_are_rates(trace):
    found = trace("window_start_s,requests_per_min\n0,120\n60,60\n")
    assert [rate.per_s for rate in found.rates()] == [2, 1]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "a,b\n1,2\n",
            "has the columns a, b; a trace has one of these sets: arrival_s",
            id="unknown columns",
        ),
        pytest.param("a,b\n1,2,3\n", "has the columns a, b; a trace", id="a row beyond its header"),
        pytest.param("", "has no rows", id="an empty file"),
        pytest.param("arrival_s,prompt_tokens,output_tokens\n", "has no rows", id="a header alone"),
    ],
)
def test_what_is_no_trace_is_refused_with_what_would_be_one(trace, text, message):
    with pytest.raises(ConfigurationError, match=message):
        trace(text)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        pytest.param("5,1,1\n4,1,1\n", "row 2: got -1 s; allowed: times in order", id="disorder"),
        pytest.param("5,1,1\nx,1,1\n", "row 2: got arrival_s='x'", id="no number"),
        pytest.param("5,1\n", "row 1", id="a short row"),
    ],
)
def test_a_wrong_row_is_named(trace, rows, message):
    found = trace(f"arrival_s,prompt_tokens,output_tokens\n{rows}")
    with pytest.raises(ConfigurationError, match=message):
        list(found.requests())


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nothing\.csv"):
        open_trace(tmp_path / "nothing.csv")


@pytest.mark.parametrize(
    ("name", "requests"),
    [
        ("azure2023_code.csv.gz", 8819),
        ("azure2023_conv.csv.gz", 19_366),
        ("mooncake_fast25_synthetic.csv.gz", 3993),
    ],
)
def test_the_shared_request_traces_read_in_full_and_in_order(name, requests):
    found = list(open_trace(shared_data("traces", name)).requests())
    assert len(found) == requests
    assert found[0].at_s == 0
    assert all(a.at_s <= b.at_s for a, b in itertools.pairwise(found))


@pytest.mark.parametrize(
    "name", ["servegen_m-small_10min.csv.gz", "azure2024_code_1week_10min_digitized.csv.gz"]
)
def test_the_shared_rate_traces_read_in_full(name):
    found = list(open_trace(shared_data("traces", name)).rates())
    assert all(rate.end_s - rate.start_s == 600 for rate in found)
    assert len(found) > 900


HEAD = "arrival_s,prompt_tokens,output_tokens\n"
MOONCAKE = '{"timestamp": 1, "input_length": 1, "output_length": 1}\n'


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(HEAD + "0,1,1\nnan,1,1\n", "row 2: got arrival_s='nan'", id="no time"),
        pytest.param(HEAD + "0,1,1\ninf,1,1\n", "row 2: got arrival_s='inf'", id="no end"),
        pytest.param(HEAD + "0,inf,1\n", "prompt_tokens='inf'", id="tokens without end"),
        pytest.param(HEAD + "0,1e300,1\n", "prompt_tokens='1e300'", id="more than there are"),
        pytest.param(HEAD + f"0,{'9' * 5000},1\n", "row 1: got arrival_s='0'", id="a long number"),
        pytest.param("window_start_s,rate_rps\n0,1\n60,nan\n", "rate_rps='nan'", id="no rate"),
        pytest.param(
            "window_start_s,rate_rps\n0,-inf\n60,1\n", "rate_rps='-inf'", id="no end of rate"
        ),
        pytest.param(MOONCAKE + "[1]\n", "row 2: got [1]", id="a line of another kind"),
        pytest.param("{" + '"a":[' * 50_000, "row 1: got {", id="deeper than a stack"),
        pytest.param(HEAD + '0,"' + "x" * 200_000, "field larger than", id="a quote never closed"),
    ],
)
def test_numbers_that_are_none_and_rows_that_are_none_are_told(tmp_path, text, says):
    path = tmp_path / "trace"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=re.escape(says)):
        read_all(open_trace(path))


def read_all(trace):
    return list(trace.rates() if trace.is_rates else trace.requests())


def test_a_zipped_line_that_unfolds_without_end_is_not_unfolded(tmp_path):
    path = tmp_path / "trace.gz"
    path.write_bytes(gzip.compress(HEAD.encode() + b"0" * 50_000_000))
    with pytest.raises(ConfigurationError, match="row 2: longer than a million"):
        read_all(open_trace(path))


def test_a_zipped_trace_of_many_short_rows_is_read_a_row_at_a_time(tmp_path):
    path = tmp_path / "trace.gz"
    whole = gzip.compress("".join([HEAD, *(f"{at},1,1\n" for at in range(30_000))]).encode())
    path.write_bytes(whole[: len(whole) // 2])
    requests = open_trace(path).requests()
    assert next(requests).at_s == 0  # long before the end, which is missing
    with pytest.raises(ConfigurationError, match=r"cannot be read: Compressed file ended"):
        list(requests)


def test_a_pipe_is_no_trace(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigurationError, match="pipe: cannot be read: no regular file"):
        open_trace(tmp_path / "pipe")
