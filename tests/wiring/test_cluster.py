"""Whether a serving process hears of its cluster, and what it says where it does not."""

import pytest

from scaler.errors import ConfigurationError
from scaler.settings import settings
from scaler.wiring.cluster import hearing

KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{name: here, context: {cluster: here, user: me}}]
clusters: [{name: here, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: me, user: {}}]
"""


@pytest.fixture(autouse=True)
def outside(monkeypatch, tmp_path):
    """Stand in no cluster, with a kubeconfig of none."""
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))


def asked(**flags):
    return hearing(settings(flags=flags, file={}))


@pytest.mark.parametrize(
    ("mode", "words"),
    [("auto", "in no cluster and has no KUBECONFIG"), ("off", "not asked (kubernetes: off)")],
)
async def test_outside_a_cluster_it_says_so_and_goes_on(mode, words):
    async with asked(kubernetes=mode) as cluster:
        assert words in cluster.standing()
        assert "kube-state-metrics alone" in cluster.standing()
        assert not any(heard.is_current for heard in cluster.known.heard.values())


async def test_where_it_must_be_heard_a_missing_cluster_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    with pytest.raises(ConfigurationError, match="KUBECONFIG"):
        async with asked(kubernetes="on"):
            pass


async def test_a_kubeconfig_that_is_none_leaves_it_to_kube_state_metrics(monkeypatch, tmp_path):
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "missing"))
    async with asked() as cluster:
        assert "kube-state-metrics alone" in cluster.standing()


async def test_an_api_that_does_not_answer_holds_nothing_up(monkeypatch, tmp_path):
    path = tmp_path / "kubeconfig"
    path.write_text(KUBECONFIG)
    monkeypatch.setenv("KUBECONFIG", str(path))
    async with asked() as cluster:
        assert cluster.standing().startswith("Kubernetes API: watched, but not ScaledObject (")
