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
