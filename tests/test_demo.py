"""The whole loop, end to end: real HTTP, real gRPC, the real decision, in a few seconds."""

import asyncio
import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios

import aiohttp
import pytest

from scaler.cli import app
from scaler.errors import ConfigurationError
from scaler.lab.demo import DemoOptions
from scaler.wiring.demo import demo
from tests.dashboards.demo_panels import EMPTY, never_found
from tests.programs import program


@pytest.fixture
def surge(tmp_path):
    """Return a trace of two minutes of little, and then a lot."""
    rows = [f"{second},500,100" for second in range(140)]
    rows += [f"{140 + n / 60},500,100" for n in range(60 * 90)]
    path = tmp_path / "surge.csv"
    path.write_text("\n".join(["arrival_s,prompt_tokens,output_tokens", *rows]))
    return path


@pytest.mark.parametrize(
    "prometheus",
    [
        pytest.param("embedded", id="scraped directly"),
        pytest.param("auto", id="through a real Prometheus", marks=pytest.mark.prometheus),
    ],
)
async def test_a_surge_is_scaled_for_and_idle_gpus_are_lent(
    surge, capsys, monkeypatch, tmp_path, prometheus
):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    if prometheus == "auto":
        program("prometheus", get_it="make system installs it")
    options = DemoOptions(
        trace=surge, duration_s=11.5, speed=20.0, scale=1.0, prometheus=prometheus
    )
    is_open = prometheus == "embedded"
    play = asyncio.ensure_future(demo(options, for_json=True, open_page=is_open))
    said = ""
    if prometheus == "auto":
        while not (address := re.search(r"Prometheus at (http://\S+)", said)):
            await asyncio.sleep(0.1)
            assert not play.done()
            said += capsys.readouterr().err
        assert await asyncio.to_thread(never_found, address[1]) <= EMPTY.keys()
    result = await play
    ours = result["runs"]["kvtide"]
    assert ours["requests"] > 2000
    assert ours["max_replicas"] > 1
    assert ours["training_gpu_hours"] > 0
    assert ours["failed_requests"] == 0
    assert len(result["runs"]) == 3
    shown = said + capsys.readouterr().err
    assert "status page" in shown
    if is_open:
        assert (tmp_path / "opened").read_text().strip() in shown
    assert ("Prometheus at http://" in shown) == (prometheus == "auto")


def a_terminal():
    """Return the end of whoever looks on, and that of the program."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    return ours, theirs


LOOKED_AT = """
import fcntl, os, signal, sys, termios
if os.isatty(1):
    fcntl.ioctl(1, termios.TIOCSCTTY, 0)
if sys.argv[1] == "deaf":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
os.execv(sys.executable, [sys.executable, "-m", "scaler", *sys.argv[2:]])
"""
"""A shell's part: the command's terminal is that of its session, and may be deaf as with nohup."""


@pytest.mark.parametrize(
    ("looked_at", "hears", "begun"),
    [
        pytest.param(a_terminal, "all", b"finetune", id="a window that is closed"),
        pytest.param(a_terminal, "deaf", b"finetune", id="a terminal that goes without a signal"),
        pytest.param(os.pipe, "all", b"", id="a pipe that nobody reads"),
    ],
)
def test_with_nobody_left_to_look_on_it_ends_quietly_with_its_report(
    looked_at, hears, begun, tmp_path
):
    report = tmp_path / "day.html"
    options = ["demo", "--prometheus", "embedded", "--duration", "1h", "--report", str(report)]
    ours, theirs = looked_at()
    with (tmp_path / "said").open("wb") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", LOOKED_AT, hears, *options],
            stdout=theirs,
            stderr=errors,
            start_new_session=True,
        )
        os.close(theirs)
        try:
            shown = b""
            while begun not in shown:
                shown += os.read(ours, 20)
            os.close(ours)
            assert process.wait(60) == 0
        finally:
            process.kill()
            process.wait()
    assert report.read_text(encoding="utf-8").rstrip().endswith("</html>")
    assert "Traceback" not in (tmp_path / "said").read_text(errors="replace")


async def test_ended_as_soon_as_it_began_it_still_leaves_its_report(tmp_path, capsys):
    report = tmp_path / "day.html"
    play = asyncio.ensure_future(demo(DemoOptions(prometheus="embedded"), report=report))
    await asyncio.sleep(0)  # up to its first wait: it listens to signals by then
    os.kill(os.getpid(), signal.SIGHUP)
    await asyncio.wait_for(play, 60)
    assert report.read_text(encoding="utf-8").rstrip().endswith("</html>")


async def ended(process: asyncio.subprocess.Process) -> None:
    """End a process that the test started."""
    process.terminate()
    await asyncio.wait_for(process.wait(), 10)


async def test_the_mock_serves_pages_until_it_is_told_to_end():
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scaler", "mock", "--port", "0", "--replicas", "3"),
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(30):
            line = (await process.stderr.readline()).decode()
        url = re.search(r"http://[0-9.:]+", line)
        assert url is not None, line
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{url.group()}/sd/engines") as response:
                groups = await response.json()
            page = url.group() + groups[0]["labels"]["__metrics_path__"]
            async with session.get(page) as response:
                assert "vllm:num_requests_running" in await response.text()
        assert len(groups) == 3
    finally:
        await ended(process)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["demo", "--duration", "soon"], "--duration: got 'soon'", id="no duration"),
        pytest.param(["demo", "--prometheus", "yes"], "--prometheus: got yes", id="no Prometheus"),
        pytest.param(["demo", "--speed", "1000"], "--speed: got 1000", id="too fast"),
        pytest.param(["mock", "--replicas", "99"], "--replicas: got 99", id="too many replicas"),
        pytest.param(["mock", "--scaler", "x"], "--scaler: got x", id="no address"),
    ],
)
def test_a_wrong_option_is_told_in_words(arguments, message):
    with pytest.raises(ConfigurationError, match=message):
        app(arguments, standalone_mode=False)
