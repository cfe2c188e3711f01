import dataclasses

import pytest

from scaler.decision import guards
from scaler.decision.decision import Reason
from scaler.decision.load import read
from scaler.decision.policy import SignalName
from scaler.decision.sample import Sample
from tests.builders import inference, replica, window


def memory(*used_mib, free_mib=20_000.0, **more):
    total = used_mib[0] + free_mib
    samples = (
        Sample(
            at_s=5.0 * k,
            replicas=(
                replica(gpu_memory_used_mib=float(used), gpu_memory_free_mib=float(total - used)),
            ),
        )
        for k, used in enumerate(used_mib)
    )
    return guards.gpu_memory(window(*samples, **more), inference())


def test_memory_counts_above_its_floor():
    # 60 GB are weights and never given back; of the 20 GB above them, 15 are in use.
    assert memory(60_000, 75_000).load == pytest.approx(0.75)


def test_memory_that_is_taken_up_front_says_nothing():
    assert memory(60_000, 79_000, allocates_up_front=True).load is None
    assert memory(79_000, 79_000).load == 0


def test_memory_without_readings_abstains():
    signal = guards.gpu_memory(window(Sample(at_s=0, replicas=(replica(),))), inference())

    assert signal.load is None
    assert signal.detail == "no GPU memory is reported"


def test_a_full_gpu_has_room_for_nothing():
    assert memory(80_000, 80_000, free_mib=0.0).load is None


@pytest.mark.parametrize(
    ("used", "count", "step"),
    [
        pytest.param(75_000, 1, None, id="under the threshold: nothing"),
        pytest.param(79_000, 1, 3, id="over it: one more than is ready"),
        pytest.param(79_000, 2, 3, id="and none less"),
        pytest.param(79_000, 5, None, id="load already asks for more"),
    ],
)
def test_the_memory_guard(used, count, step):
    result = guards.hold_for_memory(memory(60_000, used), count, ready=2)

    assert (result and result.replicas) == step


def busy(share, *, waiting=0.0, running=0.0, ready=2):
    return window(
        Sample(
            at_s=0,
            ready_replicas=ready,
            replicas=(
                replica("a", running=running, waiting=waiting, gpu_engine_active=share),
                replica("b", running=running, gpu_utilization=share),
            ),
        )
    )


@pytest.mark.parametrize(
    ("readings", "raised"),
    [
        pytest.param({"share": 0.99, "running": 1}, None, id="busy alone is a decode loop"),
        pytest.param({"share": 0.99, "running": 8}, 3, id="busy and at the concurrency target"),
        pytest.param({"share": 0.99, "waiting": 1}, 3, id="busy and some wait"),
        pytest.param({"share": 0.85, "waiting": 1}, None, id="not busy"),
        pytest.param({"share": 0.99, "waiting": 1, "ready": 0}, None, id="nothing is ready"),
    ],
)
def test_utilization_raises_only_in_company(readings, raised):
    seen, policy = busy(**readings), inference()
    signal = guards.gpu_utilization(seen, policy)

    step = guards.raise_for_utilization(signal, read(seen, policy), seen, 2)

    assert (step and (step.replicas, step.reason)) == (raised and (raised, Reason.GPU_UTILIZATION))


def test_utilization_never_lowers():
    seen, policy = busy(0.99, running=8), inference()
    signal = guards.gpu_utilization(seen, policy)

    assert guards.raise_for_utilization(signal, read(seen, policy), seen, 5) is None


def test_utilization_without_readings_abstains():
    signal = guards.gpu_utilization(
        window(Sample(at_s=0, replicas=(replica(),))),
        inference(metrics=(SignalName.GPU_UTILIZATION,)),
    )

    assert signal.load is None


def at(at_s, **readings):
    """Return a sample of replicas with (used, free) GPU memory in MiB each."""
    return Sample(
        at_s=at_s,
        replicas=tuple(
            replica(name, gpu_memory_used_mib=used, gpu_memory_free_mib=free)
            for name, (used, free) in readings.items()
        ),
    )


def test_the_fullest_replica_counts_above_its_own_floor():
    signal = guards.gpu_memory(
        window(
            at(0, a=(50.0, 50.0), b=(10.0, 90.0), gone=(1.0, 1.0)),
            at(5, a=(60.0, 40.0), b=(82.0, 18.0)),
        ),
        inference(),
    )

    assert signal.load == pytest.approx(72 / 90)
    assert signal.detail == "b has used 80 % of what it may"


def test_memory_readings_that_were_missing_are_no_floor():
    signal = guards.gpu_memory(window(at(0, a=(None, 40.0)), at(5, a=(80.0, 20.0))), inference())

    assert signal.load == 0


@pytest.mark.parametrize("halves", [(None, 20.0), (80.0, None)], ids=["used", "free"])
def test_half_a_memory_reading_is_none(halves):
    assert guards.gpu_memory(window(at(0, a=halves)), inference()).load is None


def test_memory_taken_up_front_is_said():
    signal = memory(60_000, 79_000, allocates_up_front=True)

    assert signal.detail == "the engine allocates its memory up front"


def test_memory_past_its_threshold_is_said():
    step = guards.hold_for_memory(memory(60_000, 79_000), 1, 2)

    assert step is not None
    assert step.reason is Reason.GPU_MEMORY
    assert step.detail == "llm-0 has used 95 % of what it may, past 90 %: one more than the 2 ready"


def test_a_guard_that_abstains_or_is_just_at_its_threshold_asks_for_nothing():
    full, seen = memory(60_000, 79_000), busy(0.99, running=8)

    for load in (None, 0.9):
        calm = dataclasses.replace(full, load=load)
        assert guards.hold_for_memory(calm, 1, 2) is None
        assert guards.raise_for_utilization(calm, read(seen, inference()), seen, 2) is None


def test_nothing_ready_is_nothing_to_raise():
    seen = busy(0.99, waiting=1, ready=0)
    signal = guards.gpu_utilization(seen, inference())

    assert guards.raise_for_utilization(signal, read(seen, inference()), seen, 0) is None


def test_utilization_is_the_mean_over_awake_replicas_and_the_stable_window():
    def one(at_s, *replicas):
        return Sample(at_s=at_s, ready_replicas=1, replicas=replicas)

    seen = window(
        one(0, replica("a", gpu_engine_active=0.0)),
        one(60, replica("a", gpu_engine_active=0.5, gpu_utilization=0.99)),
        one(65, replica("a", gpu_utilization=0.9), replica("b")),
        one(70, replica("a"), replica("asleep", gpu_utilization=0.0, sleeping=True)),
    )

    signal = guards.gpu_utilization(seen, inference(stable_window_s=60))

    assert signal.load == pytest.approx(0.7)
    assert signal.detail == "70 % busy on average over 60 s"


@pytest.mark.parametrize(
    ("readings", "metrics", "detail"),
    [
        pytest.param(
            {"running": 8},
            ("concurrency", "batch"),
            "99 % busy on average over 60 s, and another signal is at its target",
            id="one of two signals is at its target, the other does not apply",
        ),
        pytest.param(
            {"waiting": 1},
            ("concurrency",),
            "99 % busy on average over 60 s, and requests wait",
            id="requests wait",
        ),
    ],
)
def test_utilization_names_its_company(readings, metrics, detail):
    seen = busy(0.99, **readings)
    policy = inference(metrics=tuple(map(SignalName, metrics)))

    step = guards.raise_for_utilization(
        guards.gpu_utilization(seen, policy), read(seen, policy), seen, 2
    )

    assert step is not None
    assert step.detail == detail


@pytest.mark.parametrize(
    ("share", "count", "raised"),
    [
        pytest.param(0.99, 2, 3, id="up to what brings it to its target"),
        pytest.param(0.99, 3, None, id="which load asks for already"),
        pytest.param(0.99, 1, 3, id="whatever load asks for"),
    ],
)
def test_utilization_raises_in_proportion(share, count, raised):
    seen = busy(share, running=7)
    signal = guards.gpu_utilization(seen, inference())

    step = guards.raise_for_utilization(signal, read(seen, inference()), seen, count)

    assert (step and step.replicas) == raised


def test_one_signal_at_the_target_of_one_replica_is_not_that_of_two():
    seen = busy(0.99, running=6)
    signal = guards.gpu_utilization(seen, inference())

    assert guards.raise_for_utilization(signal, read(seen, inference()), seen, 2) is None


@pytest.mark.parametrize("load", [0.9, 0.5], ids=["at its target", "below it"])
def test_a_fleet_that_is_not_too_busy_is_not_kept_by_its_gpus(load):
    seen = busy(0.99, waiting=1)
    calm = dataclasses.replace(guards.gpu_utilization(seen, inference()), load=load)

    assert guards.raise_for_utilization(calm, read(seen, inference()), seen, 1) is None


def test_gpus_were_busy_and_what_is_ready_is_not_known():
    seen = window(*busy(0.99, waiting=1).samples, Sample(at_s=5))
    signal = guards.gpu_utilization(seen, inference())

    assert guards.raise_for_utilization(signal, read(seen, inference()), seen, 1) is None


def test_utilization_is_brought_to_its_target():
    seen, policy = busy(0.95, waiting=1, ready=20), inference(metrics=(SignalName.BATCH,))
    signal = guards.gpu_utilization(seen, policy)

    # 20 that are 95 % busy are 90 % busy as 21.1.
    step = guards.raise_for_utilization(signal, read(seen, policy), seen, 20)
    assert step is not None
    assert step.replicas == 22
