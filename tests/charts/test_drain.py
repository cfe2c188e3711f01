import http.server
import math
import runpy
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.shared_data import shared_data

from .helm import CHARTS

SCRIPT = runpy.run_path(str(CHARTS / "llm-on-kvtide/files/drain.py"))


class Engine(http.server.ThreadingHTTPServer):
    """An engine whose /metrics shows one page after another, the last one for ever."""

    def __init__(self, pages: list[str]) -> None:
        super().__init__(("127.0.0.1", 0), Page)
        self.pages = pages
        self.asked = 0


class Page(http.server.BaseHTTPRequestHandler):
    server: Engine

    def do_GET(self) -> None:
        pages = self.server.pages
        body = pages[min(self.server.asked, len(pages) - 1)].encode()
        self.server.asked += 1
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Say nothing."""


def page(running: float, waiting: float) -> str:
    labels = '{engine="0",model_name="m"}'
    return (
        f"vllm:num_requests_running{labels} {running}\n"
        f"vllm:num_requests_waiting{labels} {waiting}\n"
        f'vllm:num_requests_waiting_by_reason{{engine="0",reason="capacity"}} {waiting}\n'
    )


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with Engine(request.param) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("engine", "asked"),
    [
        pytest.param([page(0, 0)], 2, id="an idle engine is asked twice"),
        pytest.param([page(2, 1), page(1, 0), page(0, 0)], 4, id="until it is idle"),
        pytest.param([page(0, 0), page(0, 1), page(0, 0)], 4, id="a late request starts it over"),
    ],
    indirect=["engine"],
)
def test_it_waits_until_nothing_runs_or_waits(engine, asked):
    SCRIPT["drain"](engine.server_port, 30, settle_s=0, poll_s=0)
    assert engine.asked == asked


@pytest.mark.parametrize("engine", [[page(1, 0)]], indirect=True)
def test_it_gives_up_when_the_time_is_over(engine):
    SCRIPT["drain"](engine.server_port, 0.05, settle_s=0, poll_s=0)
    assert engine.asked > 0


@pytest.mark.parametrize("engine", [[page(3, 4)]], indirect=True)
def test_it_counts_no_request_twice(engine):
    assert SCRIPT["in_flight"](engine.server_port) == 7


def test_an_engine_that_is_gone_is_idle():
    with Engine([""]) as closed:
        port = closed.server_port
    assert SCRIPT["in_flight"](port) == 0


def test_an_engine_that_is_too_busy_to_answer_is_not_idle():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert SCRIPT["in_flight"](silent.getsockname()[1], timeout_s=0.05) == math.inf


def test_it_reads_a_real_page():
    with Engine([shared_data("metrics", "vllm-0.32.0-loaded.prom").read_text()]) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        assert SCRIPT["in_flight"](server.server_port) == 32
        thread.join()
