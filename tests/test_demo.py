"""The whole loop, end to end: real HTTP, real gRPC, the real decision, in a few seconds."""

import pytest

from scaler.lab.demo import DemoOptions
from scaler.wiring import demo


@pytest.fixture
def surge(tmp_path):
    """Return a trace of two minutes of little, and then a lot."""
    rows = [f"{second},500,100" for second in range(140)]
    rows += [f"{140 + n / 60},500,100" for n in range(60 * 60)]
    path = tmp_path / "surge.csv"
    path.write_text("\n".join(["arrival_s,prompt_tokens,output_tokens", *rows]))
    return path


async def test_a_surge_is_scaled_for_and_idle_gpus_are_lent(surge, capsys):
    options = DemoOptions(trace=surge, duration_s=9.0, speed=20.0, scale=1.0)
    result = await demo(options, for_json=True)
    ours = result["runs"]["kvtide"]
    assert ours["requests"] > 2000
    assert ours["max_replicas"] > 1
    assert ours["training_gpu_hours"] > 0
    assert ours["failed_requests"] == 0
    assert len(result["runs"]) == 3
    assert "status page" in capsys.readouterr().err
