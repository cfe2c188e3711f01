import http.server
import json
import threading
from collections.abc import Iterator

import pytest

from scaler.cli.explanation import told_by
from scaler.errors import ConfigurationError, NotServedError, SourceError
from scaler.readings.served import served_answer, told_of
from scaler.report.decision_json import answer_json
from scaler.report.decision_text import answer_text
from tests.builders import decision

ANSWERS = {
    "/api/decisions": (200, {"decisions": [{"object": "llm/chat"}, {"object": "llm/a"}]}),
    "/api/decisions/llm/chat": (200, answer_json("llm/chat", "inference", decision=decision())),
    "/api/decisions/llm/absent": (404, {}),
    "/api/decisions/llm/broken": (500, {}),
    "/api/decisions/llm/other": (200, {"hello": "world"}),
    "/api/decisions/llm/page": (200, "<html>"),
}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, document = ANSWERS[self.path]
        body = document if isinstance(document, str) else json.dumps(document)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_the_servers_answer_is_explained(server):
    text = answer_text(served_answer(server, "llm/chat"))

    assert text.startswith("llm/chat: 5 (TooManyReplicas)\n")


@pytest.mark.parametrize(
    ("key", "kind", "message"),
    [
        pytest.param(
            "llm/absent",
            NotServedError,
            "was not asked about llm/absent .*; it has llm/a, llm/chat",
            id="never heard of",
        ),
        pytest.param("llm/broken", SourceError, "answered 500", id="a failing server"),
        pytest.param("llm/other", SourceError, "is it kvtide's", id="JSON of somebody else"),
        pytest.param("llm/page", SourceError, "answered no JSON", id="a page"),
    ],
)
def test_another_reply_is_no_answer(server, key, kind, message):
    with pytest.raises(kind, match=message):
        served_answer(server, key)


def test_without_a_name_those_that_the_server_has_are_told(server):
    with pytest.raises(ConfigurationError) as caught:
        told_by(server, None)

    said = f"NAMESPACE/NAME: say which object of {server}; it has llm/a, llm/chat"
    assert str(caught.value) == said


def test_many_objects_are_told_of_in_a_few_words():
    assert told_of([]) == "it has none yet"
    assert told_of([f"llm/{name}" for name in range(100)]).endswith("llm/11 and 88 more")


def test_a_server_that_is_not_there_is_named():
    with pytest.raises(SourceError, match=r"http://127\.0\.0\.1:1 does not answer"):
        served_answer("http://127.0.0.1:1", "llm/chat")


def test_a_misshapen_question_names_both_parts():
    with pytest.raises(ConfigurationError) as caught:
        served_answer("localhost", "chat")

    assert [p.field for p in caught.value.problems] == ["--server", "NAMESPACE/NAME"]
