"""Of two that tell of the cluster, whoever spoke last is right."""

import pytest

from scaler.readings.series import SeriesStore
from scaler.readings.spoken import API, spoken, word

DEPLOYMENT = ("serve", "llm")
METRIC = "kube_deployment_status_replicas_ready"


@pytest.mark.parametrize(
    ("exporter", "api", "value"),
    [
        ([(100, 3)], [], 3),
        ([], [(100, 2)], 2),
        ([(100, 3)], [(104, 2)], 2),
        ([(104, 3)], [(100, 2)], 3),
        ([(104, 3)], [(104, 2)], 2),
        ([(104, 3)], [(90, 2)], 3),
        ([(70, 3)], [], None),
        ([], [(90, 3)], None),
    ],
    ids=[
        "the exporter alone",
        "the API alone",
        "the API spoke last",
        "the exporter spoke last",
        "in the same instant: the API",
        "the API has fallen silent",
        "the exporter is stale",
        "the API is stale",
    ],
)
def test_the_word(exporter, api, value):
    store = SeriesStore()
    store.merge(METRIC, DEPLOYMENT, {"instance": "ksm-0"}, exporter)
    store.merge(METRIC, DEPLOYMENT, API, api)
    assert word(store, METRIC, DEPLOYMENT, 105, 8) == value


def test_rows_of_two_replicas_of_the_exporter_repeat_one_another():
    store = SeriesStore()
    store.merge(METRIC, DEPLOYMENT, {"instance": "ksm-0"}, [(100, 3)])
    store.merge(METRIC, DEPLOYMENT, {"instance": "ksm-1"}, [(104, 2)])
    assert word(store, METRIC, DEPLOYMENT, 105, 30) == 3
    assert len(spoken(store, METRIC, DEPLOYMENT, 105, 30)) == 2
