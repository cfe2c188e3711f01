"""Which server answers, by pages of build information as servers have them."""

import pytest

from scaler.readings.server_kind import ServerKind, kind_of


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        pytest.param(
            {"status": "success", "data": {"version": "2.42.0+ds", "revision": "2.42.0+ds-5"}},
            ServerKind(name="Prometheus", version="2.42.0+ds"),
            id="Prometheus",
        ),
        pytest.param(
            {"status": "success", "data": {"version": "2.24.0"}},
            ServerKind(name="VictoriaMetrics"),
            id="VictoriaMetrics, which imitates",
        ),
        pytest.param(
            {"status": "success", "data": {}},
            ServerKind(name="VictoriaMetrics"),
            id="VictoriaMetrics 1.79, which says nothing",
        ),
        pytest.param(
            {"data": {"application": "Grafana Mimir", "version": "2.14.0"}},
            ServerKind(name="Grafana Mimir", version="2.14.0"),
            id="Mimir",
        ),
        pytest.param(
            {"data": {"version": "0.41.0", "revision": "x"}},
            ServerKind(name="Thanos", version="0.41.0"),
            id="Thanos",
        ),
        pytest.param({"error": "no"}, ServerKind(), id="nothing"),
        pytest.param([], ServerKind(), id="not a document"),
    ],
)
def test_a_server_is_told_by_its_page(document, kind):
    assert kind_of(document) == kind
    assert str(kind).startswith(kind.name)
