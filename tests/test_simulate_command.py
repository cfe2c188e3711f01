import json
import subprocess
import sys

import pytest

FIGURES = {
    *("gpu_hours", "slo_attainment", "ttft_s", "itl_s", "queue_peak", "scale_events"),
    *("max_replicas", "preempted_requests", "failed_requests", "training_gpu_hours"),
    *("training_lost_gpu_hours", "reclaim_s", "oracle_gpu_hours"),
}
ONLINE = """
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: chat, namespace: llm}
spec:
  scaleTargetRef: {name: chat}
  triggers:
    - type: external
      metadata: {scalerAddress: "kvtide:6000", itlTarget: 100ms, minReplicas: "1"}
"""
TRAINING = """
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: finetune, namespace: llm}
spec:
  scaleTargetRef: {name: finetune}
  triggers:
    - type: external
      metadata:
        scalerAddress: "kvtide:6000"
        role: training
        poolUnits: "6"
        reservedUnits: "2"
        poolWorkloads: llm/chat
"""


@pytest.fixture(scope="module")
def trace(tmp_path_factory):
    path = tmp_path_factory.mktemp("traces") / "tiny.csv"
    rows = (f"{0.5 * number},400,40" for number in range(240))
    path.write_text("\n".join(("arrival_s,prompt_tokens,output_tokens", *rows)), encoding="utf-8")
    return path


def kvtide(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "scaler", "simulate", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )


def test_json_has_every_figure_of_every_policy(trace, tmp_path):
    done = kvtide(
        *("--trace", trace, "--policy", "kvtide", "--policy", "keda-queue=7", "--json"),
        *("--gpus", 3, "--output", tmp_path),
    )

    result = json.loads(done.stdout)
    assert done.returncode == 0, done.stderr
    assert set(result["policies"]) == {"kvtide", "keda-queue 7"}
    assert all(set(figures) >= FIGURES for figures in result["policies"].values())
    assert all(set(one["ttft_s"]) == {"p50", "p95", "p99"} for one in result["policies"].values())
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8")) == result
    assert "<svg" in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert (tmp_path / "moments.csv").read_text(encoding="utf-8").startswith("policy,at_s,")


def test_a_scaled_object_is_played_under_its_own_name(trace, tmp_path):
    manifest = tmp_path / "chat.yaml"
    manifest.write_text(ONLINE, encoding="utf-8")

    done = kvtide("--trace", trace, "--policy", manifest, "--no-oracle", "--json")

    assert done.returncode == 0, done.stderr
    assert set(json.loads(done.stdout)["policies"]) == {"llm/chat"}


def test_training_borrows_what_the_fleet_leaves_idle(trace, tmp_path):
    manifest = tmp_path / "finetune.yaml"
    manifest.write_text(TRAINING, encoding="utf-8")

    done = kvtide(
        *("--trace", trace, "--policy", "fixed=1", "--training", manifest, "--no-oracle"),
        *("--warm-up", 120, "--json", "--output", tmp_path),
    )

    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["policies"]["fixed 1"]
    # Four units at most beside the reserved two, for two minutes less the time to start.
    assert 0 < figures["training_gpu_hours"] <= 4 * 120 / 3600
    assert figures["gpu_hours"] == pytest.approx(120 / 3600, abs=0.001)
    assert "GPUs lent to training" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_training_without_a_borrower_is_a_wrong_file(trace, tmp_path):
    manifest = tmp_path / "chat.yaml"
    manifest.write_text(ONLINE, encoding="utf-8")

    done = kvtide("--trace", trace, "--training", manifest)

    assert done.returncode == 2
    assert "a ScaledObject with role: training" in done.stderr


def test_measured_steps_and_a_stated_cache_make_the_replica(trace, tmp_path):
    steps = tmp_path / "steps.csv"
    rows = (f"{n},{p},{0.02 + 1e-4 * n + 5e-5 * p}" for n in (1, 8, 64) for p in (0, 99, 900))
    steps.write_text("\n".join(("batch,prompt_tokens,latency_s", *rows)), encoding="utf-8")

    done = kvtide(
        *("--trace", trace, "--policy", "fixed=2", "--no-oracle", "--json"),
        *("--latency", steps, "--kv-tokens", 8000, "--max-num-seqs", 16),
    )

    assert done.returncode == 0, done.stderr
    replica = json.loads(done.stdout)["replica"]
    assert replica["step_cost"]["a_s"] == pytest.approx(0.02)
    assert replica["step_cost"]["b_s"] == pytest.approx(1e-4)
    assert replica["step_cost"]["c_s"] == pytest.approx(5e-5)
    assert replica["fit"]["rows"] == 9
    assert (replica["max_num_seqs"], replica["max_model_len"]) == (16, 8000)
    assert 8000 <= (replica["num_blocks"] - 1) * replica["block_tokens"] < 8032


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--policy", "magic"), "one of kvtide, kvtide-rise, fixed"),
        (("--policy", "fixed=many"), "fixed=NUMBER (replicas)"),
        (("--slice", "9:3"), "--slice"),
        (("--latency", "none.csv"), "none.csv: cannot be read: No such file"),
        (("--slice", "900:"), "no request in the slice"),
    ],
)
def test_a_wrong_word_is_named_with_what_is_allowed(trace, arguments, said):
    done = kvtide("--trace", trace, *arguments)

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
