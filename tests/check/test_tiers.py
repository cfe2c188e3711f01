import pytest

from tests.check.check_manifests import CHAT, HOUSE, TRAIN, changed, checked, metadata

CHEAP = {"tierGroup": "chat", "tierCost": "0.35"}
FAST = {"tierGroup": "chat", "tierCost": "1.1", "tierPreference": "1"}


def tiers(cheap, fast):
    """Return a cheap tier and a fast one, each with more metadata."""
    pair = [changed(CHAT, metadata(**CHEAP | cheap)), changed(CHAT, metadata(**FAST | fast))]
    for name, document in zip(["t4", "a10"], pair, strict=True):
        document["metadata"]["name"] = name
        document["spec"]["scaleTargetRef"]["name"] = name
    return pair


SLOW_STEP, QUICK_STEP = "a=20ms,b=1ms,c=0.1ms", "a=8ms,b=0.5ms,c=0.05ms"  # full: 36 and 16 ms


@pytest.mark.parametrize(
    ("cheap", "fast", "found"),
    [
        pytest.param({}, {}, [], id="alike"),
        pytest.param(
            {},
            {"maxConcurrency": "40"},
            [],
            id="sizes that differ, as GPUs do",
        ),
        pytest.param(
            {"stepCost": SLOW_STEP},
            {"stepCost": QUICK_STEP},
            [("llm/t4", "tierPeakBelow", "2.2 times as long")],
            id="thresholds closer together than the GPUs",
        ),
        pytest.param(
            {"stepCost": SLOW_STEP, "tierPeakBelow": "0.2"},
            {"stepCost": QUICK_STEP},
            [],
            id="thresholds farther apart",
        ),
        pytest.param({"stepCost": SLOW_STEP}, {}, [], id="one tier's cost says nothing"),
        pytest.param(
            {},
            {"tierPeakAbove": "0.8"},
            [("llm/a10", "tierPeakAbove", "the cheapest tier (t4)")],
            id="thresholds that nobody reads",
        ),
        pytest.param({"tierPeakAbove": "0.8"}, {}, [], id="thresholds of the cheapest"),
        pytest.param({}, {"tierPeakAbove": "0.6"}, [], id="the same thresholds once more"),
        pytest.param(
            {}, {"tierPeakAbove": "0.8", "tierGroup": "code"}, [], id="tiers of two groups"
        ),
    ],
)
def test_tiers_of_one_demand_measure_it_alike(cheap, fast, found):
    findings = checked(*tiers(cheap, fast), configuration=HOUSE).findings

    assert [(f.object, f.field.rpartition(".")[2]) for f in findings] == [
        (scaled, key) for scaled, key, _ in found
    ]
    for finding, (_, _, why) in zip(findings, found, strict=True):
        assert why in finding.why


def at(document, address):
    return changed(document, metadata(scalerAddress=address))


@pytest.mark.parametrize(
    ("cheap", "fast", "is_found"),
    [
        ("kvtide.kvtide:6000", "kvtide.kvtide:6000", False),
        ("kvtide.kvtide:6000", "kvtide.kvtide.svc.cluster.local:6000", False),
        ("kvtide.kvtide:6000", "kvtide-1.kvtide:6000", True),
    ],
    ids=["one scaler", "its other names", "two shards"],
)
def test_tiers_of_a_group_share_a_scaler(cheap, fast, is_found):
    findings = checked(
        *tiers({"scalerAddress": cheap}, {"scalerAddress": fast}), configuration=HOUSE
    ).findings

    assert ["both hold" in one.why for one in findings] == [True] * is_found


@pytest.mark.parametrize(("address", "is_found"), [("kvtide:6000", False), ("kvtide-1:6000", True)])
def test_members_of_a_pool_share_its_scaler(address, is_found):
    findings = checked(at(CHAT, address), TRAIN, configuration=HOUSE).findings
    found = [one for one in findings if "nothing is lent" in one.why]

    assert [(one.object, one.field) for one in found] == [
        ("llm/train", "spec.triggers.metadata.scalerAddress")
    ] * is_found
