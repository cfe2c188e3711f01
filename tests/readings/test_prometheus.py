"""One server that is asked, well and ill: every answer is whole, or an error that says what."""

import asyncio
import gc
import json
import math
import ssl
import tracemalloc

import pytest
from aiohttp import web

from scaler.configuration import PrometheusServer
from scaler.errors import SourceError
from scaler.readings.prometheus import MOST_BYTES, PrometheusApi
from scaler.readings.replies import TooManySeriesError
from tests.certificates import authority, certificate
from tests.fakes.fake_prometheus import fake_prometheus


@pytest.fixture
async def fake():
    async with fake_prometheus() as running:
        yield running


async def ask(url, query='m{a="1"}[60s]', **more):
    api = PrometheusApi(PrometheusServer(url=url, **{"timeout_s": 5.0, **more}))
    try:
        return await api.query(query, 100.0)
    finally:
        api.close()


async def refusal(url, **more):
    with pytest.raises(SourceError) as caught:
        await ask(url, **more)
    return caught.value


async def test_rows_come_with_their_own_times_and_without_values_that_are_none(fake):
    for at_s, value in ((50.5, 1), (60.5, "NaN"), (70.5, "+Inf"), (80.5, 2)):
        fake.scrape(at_s, f'm{{a="1"}} {value}\n', job="x")
    rows = await ask(fake.url)
    assert rows == [({"__name__": "m", "a": "1", "job": "x"}, [(50.5, 1.0), (80.5, 2.0)])]


async def test_no_data_is_no_rows(fake):
    assert await ask(fake.url) == []


async def test_a_vector_reads_like_a_range_of_one(fake):
    fake.scrape(90.0, 'm{a="1"} 7\n')
    rows = await ask(fake.url, 'last_over_time(m{a="1"}[60s])')
    assert [points for _, points in rows] == [[(100.0, 7.0)]]


async def test_the_query_goes_into_the_body_with_what_is_stated_for_the_server(fake):
    long = "|".join(f"namespace-{number}" for number in range(2000))
    await ask(
        fake.url,
        f'm{{namespace=~"{long}"}}[60s]',
        headers=(("X-Scope-OrgID", "tenant"),),
        params=(("dedup", "true"),),
    )
    assert fake.headers[0]["X-Scope-OrgID"] == "tenant"
    assert fake.params[0]["dedup"] == "true"
    assert fake.params[0]["timeout"] == "5s"


async def test_a_bearer_token_is_read_anew_for_each_query(fake, tmp_path):
    token = tmp_path / "token"
    api = PrometheusApi(PrometheusServer(url=fake.url, bearer_token_file=str(token)))
    for text in ("one", "two"):
        token.write_text(f"{text}\n")
        await api.query('m{a="1"}[60s]', 100.0)
    api.close()
    assert [sent["Authorization"] for sent in fake.headers] == ["Bearer one", "Bearer two"]


async def test_basic_credentials_come_from_a_file(fake, tmp_path):
    password = tmp_path / "password"
    password.write_text("secret")
    await ask(fake.url, basic_username="me", basic_password_file=str(password))
    assert fake.headers[0]["Authorization"] == "Basic bWU6c2VjcmV0"


async def test_a_token_that_cannot_be_read_names_its_file(fake, tmp_path):
    error = await refusal(fake.url, bearer_token_file=str(tmp_path / "absent"))
    assert error.kind == "credentials"
    assert "absent" in str(error)


async def test_nobody_there_is_refused_at_once():
    started = asyncio.get_running_loop().time()
    error = await refusal("http://127.0.0.1:9")
    assert error.kind == "refused"
    assert "127.0.0.1:9" in str(error)
    assert asyncio.get_running_loop().time() - started < 1


@pytest.fixture
async def secure(tmp_path):
    """A server that shows a certificate and wants to see one of the same authority."""
    authority(tmp_path)
    certificate(tmp_path, "server", 1)
    certificate(tmp_path, "client", 2)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    tls.load_verify_locations(tmp_path / "ca.crt")
    tls.verify_mode = ssl.CERT_REQUIRED
    async with fake_prometheus(tls=tls) as running:
        yield running


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
@pytest.mark.parametrize(
    ("files", "kind"),
    [
        pytest.param(
            {"ca_file": "ca.crt", "cert_file": "client.crt", "key_file": "client.key"},
            None,
            id="both sides are who they say",
        ),
        pytest.param(
            {"cert_file": "client.crt", "key_file": "client.key"},
            "refused",
            id="an authority nobody knows",
        ),
        pytest.param({"ca_file": "ca.crt"}, "refused", id="no certificate of our own"),
        pytest.param(
            {
                "insecure_skip_verify": True,
                "cert_file": "client.crt",
                "key_file": "client.key",
            },
            None,
            id="told not to look",
        ),
    ],
)
async def test_certificates_are_checked_as_stated(secure, tmp_path, files, kind):
    stated = {k: v if v is True else str(tmp_path / v) for k, v in files.items()}
    if kind is None:
        assert await ask(secure.url, **stated) == []
    else:
        assert (await refusal(secure.url, **stated)).kind == kind


async def test_a_server_without_the_expected_certificate_is_refused(fake):
    error = await refusal(fake.url.replace("http:", "https:"))
    assert error.kind == "refused"
    assert "SSL" in str(error) or isinstance(error.__cause__, ssl.SSLError)


@pytest.mark.parametrize("ill", [{"delay_s": 10.0}, {"drips": True}], ids=["slow", "dripping"])
async def test_the_limit_is_a_deadline(fake, ill):
    for name, value in ill.items():
        setattr(fake, name, value)
    started = asyncio.get_running_loop().time()
    error = await refusal(fake.url, timeout_s=0.3)
    assert error.kind == "timeout"
    assert "more than 0.3 s" in str(error)
    assert asyncio.get_running_loop().time() - started < 1


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        pytest.param(
            web.Response(text="<html>sign in</html>"), "format", "format", id="a page of HTML"
        ),
        pytest.param(
            web.json_response({"status": "error", "error": "x"}), "format", "data", id="no data"
        ),
        pytest.param(
            web.json_response({"data": {"result": [{"value": 1}]}}), "format", "row", id="odd rows"
        ),
        pytest.param(
            web.json_response({"data": {"result": [1.5, "2"]}}), "format", "row", id="a scalar"
        ),
        *(
            pytest.param(web.json_response({"data": {"result": result}}), "format", says, id=says)
            for result, says in (
                (None, "its result is null, not a list"),
                ({"a": 1}, "its result is a dict, not a list"),
                ([None], "row 1 is null, not labels"),
                ([{"metric": None, "value": [1, "2"]}], "row 1 has no metric"),
                ([{"metric": {"a": ["x"]}, "value": [1, "2"]}], "whose labels are texts"),
                ([{"metric": {}, "value": None}], "row 1 has values that are no pairs"),
                ([{"metric": {}, "values": [[1, "2", 3]]}], "values that are no pairs of"),
                ([{"metric": {}, "value": [math.nan, "2"]}], "row 1 has a time that is no number"),
            )
        ),
        pytest.param(
            web.Response(text="[" * 100_000), "format", "recursion", id="deeper than a stack"
        ),
        pytest.param(
            web.json_response({"error": "bad query"}, status=400),
            "http",
            "answered 400: bad query",
            id="a refusal with its reason",
        ),
        pytest.param(web.Response(status=503), "http", "answered 503", id="a proxy's refusal"),
        pytest.param(
            web.Response(status=302, headers={"Location": "http://login"}),
            "http",
            "answered 302: http://login",
            id="a way to a login page",
        ),
        pytest.param(
            web.json_response({"error": "query would load too many samples"}, status=422),
            "limit",
            "too many samples",
            id="more samples than the server loads",
        ),
    ],
)
async def test_what_is_no_answer_says_what_it_is(fake, answer, kind, says):
    fake.answer = answer
    error = await refusal(fake.url)
    assert error.kind == kind
    assert says in str(error)


async def test_a_connection_that_breaks_in_the_middle_is_refused():
    async def half(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(half, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        error = await refusal(f"http://127.0.0.1:{port}")
    assert error.kind == "refused"


async def test_an_answer_with_warnings_is_partial(fake):
    fake.warnings = ["store down"]
    error = await refusal(fake.url)
    assert (error.kind, "store down" in str(error)) == ("partial", True)


async def test_a_label_that_speaks_of_warnings_is_no_warning(fake):
    fake.scrape(90.0, 'm{a="1",warnings="\\"warnings\\""} 7\n')
    assert len(await ask(fake.url)) == 1


async def test_more_series_than_allowed_is_a_limit(fake):
    for number in range(3):
        fake.scrape(90.0, f'm{{a="1",n="{number}"}} 7\n', pod=str(number))
    error = await refusal(fake.url, max_series=2)
    assert isinstance(error, TooManySeriesError)
    assert error.kind == "limit"
    assert len(await ask(fake.url, max_series=3)) == 3


async def test_two_hundred_thousand_series_are_more_than_are_read_at_once(fake):
    rows = ",".join(['{"metric":{},"value":[1,"1"]}'] * 200_001)
    fake.answer = web.Response(text=f'{{"status":"success","data":{{"result":[{rows}]}}}}')
    error = await refusal(fake.url, timeout_s=60.0)
    assert isinstance(error, TooManySeriesError)
    assert str(error) == "limit: 200001 series, more than maxSeries (200000)"


@pytest.mark.parametrize("says_how_long", [True, False])
async def test_a_reply_that_is_too_long_is_a_limit(fake, says_how_long):
    fake.answer = web.Response(text=json.dumps("x" * MOST_BYTES))
    if not says_how_long:
        fake.answer.enable_chunked_encoding()
    assert (await refusal(fake.url)).kind == "limit"


async def test_an_error_does_not_hold_on_to_the_reply_that_it_is_of(fake):
    fake.answer = web.Response(text=json.dumps("x" * MOST_BYTES))
    tracemalloc.start()
    try:
        errors = [await refusal(fake.url) for _ in range(3)]
        gc.collect()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [error.kind for error in errors] == ["limit"] * 3
    assert kept < MOST_BYTES


async def test_a_server_that_was_closed_is_asked_no_more_and_says_so(fake):
    api = PrometheusApi(PrometheusServer(url=fake.url))
    api.close()
    with pytest.raises(SourceError, match="is asked no more") as caught:
        await api.query("up", 100.0)
    assert caught.value.kind == "refused"


async def test_values_that_are_finite_are_all_that_ever_comes(fake):
    fake.scrape(90.0, 'm{a="1"} -Inf\n')
    ((_, points),) = await ask(fake.url)
    assert all(math.isfinite(value) for _, value in points)
