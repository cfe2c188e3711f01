"""``kvtide backtest`` on a real Prometheus that remembers a past, as a process of its own."""

import csv
import json
import subprocess
import sys

import pytest

from tests.fakes.recorded import recorded_prometheus, story

HOUR_S = 3600
END_S = 1_800_000_000
OUTAGE_S = (END_S - 2 * HOUR_S, END_S - HOUR_S)
OBJECTS = """
kind: ScaledObject
metadata: {name: chat, namespace: llm}
spec:
  scaleTargetRef: {name: chat, kind: StatefulSet}
  triggers:
  - type: external-push
    metadata:
      scalerAddress: "kvtide:6000"
      workload: StatefulSet/chat
      metrics: concurrency
      maxConcurrency: "8"
      unitsPerReplica: "1"
      maxReplicas: "10"
      forecast: "off"
---
kind: ScaledObject
metadata: {name: train, namespace: batch}
spec:
  scaleTargetRef: {name: train, kind: ReclaimableJob}
  triggers:
  - type: external
    metadata:
      scalerAddress: "kvtide:6000"
      role: training
      poolUnits: "12"
      poolWorkloads: llm/chat
"""

pytestmark = pytest.mark.prometheus


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prometheus")
    text = folder / "story.txt"
    story(text, begin_s=END_S - 6 * HOUR_S, end_s=END_S, day_s=4 * HOUR_S, outage_s=OUTAGE_S)
    with recorded_prometheus(folder, text) as url:
        yield url


@pytest.fixture(scope="module")
def backtest(prometheus, tmp_path_factory):
    folder = tmp_path_factory.mktemp("backtest")
    return folder, kvtide(prometheus, folder, "--since", "4h", "--output", folder, "--json")


def kvtide(url, folder, *more, until=END_S):
    objects = folder / "objects.yaml"
    objects.write_text(OBJECTS, encoding="utf-8")
    flags = ["--prometheus", url, "--scaled-object", objects, "--until", until, "--every", "1m"]
    return subprocess.run(
        [sys.executable, "-m", "scaler", "backtest", *map(str, [*flags, *more])],
        capture_output=True,
        text=True,
        check=False,
    )


def moments(folder, key):
    with (folder / "moments.csv").open(encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["object"] == key]


def test_what_was_wanted_is_told_beside_what_ran(backtest):
    _, done = backtest

    chat = json.loads(done.stdout)["objects"]["llm/chat"]
    assert done.returncode == 0, done.stderr
    assert chat["polls"] == 4 * 60
    assert chat["safe_concurrency"] == {"min": 8, "median": 8, "max": 8}
    assert chat["binding_limits"] == {"explicit": 1.0}
    assert 2 <= chat["max_wanted"] <= 6
    assert chat["scale_events_ran"] > 0
    assert chat["gpu_hours_ran"] > chat["gpu_hours_wanted"] * 0.5 > 0


def test_an_outage_is_a_gap_and_counts_in_no_sum(backtest):
    folder, done = backtest

    chat = json.loads(done.stdout)["objects"]["llm/chat"]
    silent = [row for row in moments(folder, "llm/chat") if row["reason"] == "NoData"]
    held_s = 180  # readings stand for two intervals and a half, and a decision for holdFor
    assert chat["hours_missing"] == pytest.approx(1.0, abs=(held_s + 1) / HOUR_S)
    assert chat["hours_compared"] == pytest.approx(3.0, abs=(held_s + 1) / HOUR_S)
    assert all(row["wanted"] == row["ran"] == "" for row in silent)
    assert all(OUTAGE_S[0] < float(row["at_s"]) < OUTAGE_S[1] + 60 for row in silent)


def test_every_poll_is_what_explain_says_of_that_instant(backtest, prometheus):
    folder, _ = backtest
    row = moments(folder, "llm/chat")[100]

    objects = str(folder / "objects.yaml")
    flags = ["--prometheus", prometheus, "--scaled-object", objects, "--at", row["at_s"], "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "scaler", "explain", "llm/chat", *flags],
        capture_output=True,
        text=True,
        check=False,
    )

    said = json.loads(done.stdout)["decision"]
    assert (str(said["replicas"]), said["reason"]) == (row["wanted"], row["reason"])
    assert said["detail"] == row["detail"]
    assert said["load"] == pytest.approx(float(row["load"]))


def test_a_training_object_is_told_what_it_would_have_been_lent(backtest):
    folder, done = backtest

    train = json.loads(done.stdout)["objects"]["batch/train"]
    blind = [row for row in moments(folder, "batch/train") if row["reason"] == "BlindReclaim"]
    assert train["lent_gpu_hours"] > 0
    assert train["reclaims"] >= 1
    assert all(row["wanted"] == "0" for row in blind)
    assert OUTAGE_S[0] + 300 <= float(blind[0]["at_s"]) <= OUTAGE_S[0] + 420


def test_the_report_is_one_file_that_loads_nothing(backtest):
    folder, _ = backtest

    text = (folder / "report.html").read_text(encoding="utf-8")
    assert text.count("<svg") >= 4
    assert "src=" not in text
    assert "href=" not in text
    assert "llm/chat" in text


def test_a_span_without_any_reading_says_so_and_is_no_success(prometheus, tmp_path):
    done = kvtide(prometheus, tmp_path, "--since", "10m", until=END_S + 9 * HOUR_S)

    assert done.returncode == 1
    assert "no fresh readings of StatefulSet/chat" in " ".join(done.stdout.split())


@pytest.mark.parametrize(
    ("flags", "field"),
    [
        (("--since", "a while"), "--since"),
        (("--since", "10s"), "--since"),
        (("--every", "0s"), "--every"),
    ],
    ids=["a span that is none", "a span shorter than a poll", "a poll without end"],
)
def test_a_wrong_flag_is_named(flags, field, prometheus, tmp_path):
    done = kvtide(prometheus, tmp_path, *flags)

    assert done.returncode == 2
    assert done.stderr.startswith(field)
