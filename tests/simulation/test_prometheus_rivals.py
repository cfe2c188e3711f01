"""What the rivals' Prometheus queries say, and how the HPA answers them."""

import pytest

from scaler.simulation.baselines import prometheus
from scaler.simulation.simulate import View
from tests.builders import replica, sample_of, window


def counted(at_s, *, finished=0.0, prompt=0.0, waiting=0.0, kv=0.0, gpu=0.0):
    return sample_of(
        *(
            replica(
                name,
                waiting=waiting / 2,
                requests_finished_total=finished / 2,
                prompt_tokens_total=prompt / 2,
                kv_cache_usage=kv,
                gpu_utilization=gpu,
            )
            for name in ("a", "b")
        ),
        at_s=at_s,
    )


def minute(**after):
    return window(counted(0.0), counted(60.0, **after), interval_s=60.0)


def asked(rival, seen, *, now_s=0.0, replicas=2):
    view = View(
        now_s=now_s,
        spec_replicas=replicas,
        status_replicas=replicas,
        ready_replicas=replicas,
        in_flight=0,
        window=lambda: seen,
    )
    return rival.act(view)


@pytest.mark.parametrize(
    ("rival", "seen", "wanted"),
    [
        pytest.param(
            prometheus.gpu_utilization(most=9), minute(gpu=1.0), 3, id="two busy GPUs, at 80 %"
        ),
        pytest.param(
            prometheus.requests_per_second(target=2.0, most=9),
            minute(finished=480.0),
            4,
            id="eight requests a second, two each",
        ),
        pytest.param(
            prometheus.queue_length(most=9), minute(waiting=18.0), 4, id="18 waiting, five each"
        ),
        pytest.param(prometheus.kv_usage(most=9), minute(kv=1.0), 3, id="two full caches, at 80 %"),
        pytest.param(
            prometheus.token_velocity(target=1000.0, most=9),
            minute(prompt=240_000.0, finished=240.0),
            4,
            id="4,000 prompt tokens a second, a thousand each",
        ),
        pytest.param(
            prometheus.token_velocity(target=1000.0, most=9),
            minute(prompt=120_000.0, finished=120.0, waiting=2.0),
            3,
            id="and two waiting prompts of a thousand, within two seconds",
        ),
        pytest.param(
            prometheus.token_backlog(velocity=1000.0, most=9, shipped=False),
            minute(prompt=120_000.0, finished=120.0, waiting=6.0),
            4,
            id="six seconds of backlog, one and a half each",
        ),
        pytest.param(
            prometheus.token_backlog(velocity=1000.0, most=9, shipped=False),
            minute(kv=1.0, prompt=1.0, finished=1.0),
            3,
            id="no backlog, two full caches",
        ),
        pytest.param(
            prometheus.token_backlog(velocity=1000.0, most=9),
            minute(prompt=120_000.0, finished=120.0, waiting=6.0),
            3,
            id="as llm-d ships it: one more in three minutes",
        ),
    ],
)
def test_a_rival_asks_for(rival, seen, wanted):
    assert asked(rival, seen) == wanted


def test_the_dead_band_of_the_hpa_is_theirs_as_well():
    assert asked(prometheus.kv_usage(most=9), minute(kv=0.86)) == 2
    assert asked(prometheus.kv_usage(most=9), minute(kv=0.90)) == 3


def test_going_down_takes_five_minutes():
    rival = prometheus.queue_length(most=9)
    busy, idle = minute(waiting=40.0), minute(waiting=1.0)
    counts = [asked(rival, busy, now_s=0.0, replicas=8)]
    counts += [asked(rival, idle, now_s=15.0 * n, replicas=8) for n in range(1, 25)]

    assert next(n for n, count in enumerate(counts) if count != 8) == 21


def test_without_readings_nothing_is_changed():
    assert asked(prometheus.kv_usage(most=9), None) == 2
