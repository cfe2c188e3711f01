import pytest

from scaler.decision.concurrency.evidence import MOST_READINGS, earlier, stride
from scaler.decision.concurrency.live import safe_concurrency
from tests.builders import inference, replica, sample_of, window


@pytest.mark.parametrize(
    ("samples", "replicas", "step"),
    [
        pytest.param(0, 1, 1, id="nothing"),
        pytest.param(400, 1, 1, id="as many readings as are worth it"),
        pytest.param(401, 1, 2, id="one more: every other"),
        pytest.param(100, 40, 10, id="many replicas at few instants"),
    ],
)
def test_readings_that_are_worth_their_time(samples, replicas, step):
    one = sample_of(*(replica(f"llm-{number}") for number in range(replicas)))

    assert stride([one] * samples) == step


def test_the_newest_sample_is_left_out():
    of = window(sample_of(at_s=1), sample_of(at_s=2), sample_of(at_s=3))

    assert [sample.at_s for sample in earlier(of)] == [1, 2]


def test_a_large_fleet_is_told_the_same_as_one_replica_of_it():
    def fleet(replicas: int) -> int:
        samples = [
            sample_of(
                *(
                    replica(
                        f"llm-{number}",
                        running=40,
                        kv_cache_usage=0.2 + 0.02 * ((at * 7 + number * 3) % 5 - 2),
                    )
                    for number in range(replicas)
                ),
                at_s=1000 + 5 * at,
            )
            for at in range(MOST_READINGS // 2)
        ]
        safe = safe_concurrency(window(*samples), inference(max_concurrency=None))
        assert safe is not None
        return safe.requests

    assert fleet(16) == pytest.approx(fleet(1), rel=0.03)
