"""The address that KEDA dials is told with the one that was meant."""

import pytest

from scaler.configuration import Configuration
from tests.check.check_manifests import CHAT, changed, checked


def told(address):
    document = changed(CHAT, {"triggers.0.metadata.scalerAddress": address})
    return [one.why for one in checked(document, configuration=Configuration()).findings]


@pytest.mark.parametrize(
    "address",
    [
        "kvtide.kvtide:6000",
        "kvtide.kvtide.svc.cluster.local:443",
        "10.0.0.7:6000",
        "[fd00::6]:6000",
        "dns:///kvtide.kvtide:6000",
        "unix:///run/kvtide.sock",
    ],
)
def test_what_grpc_dials_is_left_alone(address):
    assert told(address) == []


@pytest.mark.parametrize(
    ("address", "why", "meant"),
    [
        ("http://kvtide.kvtide:6000", "has a scheme", "kvtide.kvtide:6000"),
        ("https://kvtide.kvtide", "has a scheme", "kvtide.kvtide:6000"),
        ("grpc://kvtide:6001/path", "has a scheme", "kvtide:6001"),
        ("kvtide.kvtide", "has no port", "kvtide.kvtide:6000"),
        ("kvtide.kvtide:", "has no port", "kvtide.kvtide:6000"),
        ("[fd00::6]", "has no port", "[fd00::6]:6000"),
        ("kvtide.kvtide:6000/", "has a path", "kvtide.kvtide:6000"),
        ("kvtide.kvtide:grpc", "has a port (grpc)", "kvtide.kvtide:6000"),
        ("kvtide.kvtide:0", "has a port (0)", "kvtide.kvtide:6000"),
        ("kvtide.kvtide:99999", "has a port (99999)", "kvtide.kvtide:6000"),
        (" kvtide.kvtide:6000", "has spaces around it", "kvtide.kvtide:6000"),
    ],
)
def test_the_one_that_was_meant_is_named(address, why, meant):
    (said,) = told(address)

    assert said.startswith(f"{address} {why}")
    assert said.endswith(f"State {meant}")


@pytest.mark.parametrize("address", ["fd00::6", "::1:6000", "kvtide kvtide:6000", "a:1:2"])
def test_what_can_be_read_in_two_ways_is_not_guessed(address):
    (said,) = told(address)

    assert "is no host:port" in said
