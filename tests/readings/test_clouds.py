"""The clouds' ways in, each checked by a verifier of our own on this machine."""

import base64
import contextlib
import gc
import hashlib
import hmac
import json
import ssl
import urllib.parse

import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from scaler.configuration import PrometheusServer
from scaler.errors import ConfigurationError, SourceError
from scaler.readings.prometheus import PrometheusApi
from tests.certificates import authority, certificate
from tests.fakes.fake_prometheus import FakePrometheus, fake_prometheus

# asyncio keeps a TLS connection whose client hung up, and complains when it is collected.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

SECRET = "a-planted-secret-key"  # noqa: S105
TOKEN = "a-planted-access-token"  # noqa: S105


class Checking(FakePrometheus):
    """Answers only whom its check lets in."""

    def __init__(self, check):
        super().__init__()
        self.check = check

    async def handle(self, request):
        if why := self.check(request, await request.text()):
            return web.json_response({"error": why}, status=403)
        return await super().handle(request)


def bearer(request, _):
    return "" if request.headers.get("Authorization") == f"Bearer {TOKEN}" else "no such token"


def signed_for_aps(request, body):
    """Verify a signature, version 4, by its documentation alone; say what is wrong with it."""
    scheme, _, rest = request.headers.get("Authorization", "").partition(" ")
    parts = dict(part.strip().split("=", 1) for part in rest.split(",")) if rest else {}
    if scheme != "AWS4-HMAC-SHA256":
        return "not signed"
    key_id, *scope = parts["Credential"].split("/")
    if (key_id, scope[1:]) != ("AKIDEXAMPLE", ["eu-west-1", "aps", "aws4_request"]):
        return f"signed for {scope}"
    names = parts["SignedHeaders"].split(";")
    if not {"host", "x-amz-date"} <= set(names):
        return "what must be signed is not"
    canonical = "\n".join(
        [
            request.method,
            urllib.parse.quote(request.path, safe="/"),
            request.query_string,
            *(f"{name}:{request.headers[name].strip()}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(body.encode()).hexdigest(),
        ]
    )
    text = "\n".join(
        [
            scheme,
            request.headers["X-Amz-Date"],
            "/".join(scope),
            hashlib.sha256(canonical.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{SECRET}".encode()
    for part in scope:
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    right = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return "" if hmac.compare_digest(right, parts["Signature"]) else "another signature"


@contextlib.asynccontextmanager
async def issuer(answer, tls=None):
    """Run an endpoint that gives out tokens; yield its address."""
    app = web.Application()
    app.router.add_post("/token", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}/token"
    finally:
        await runner.cleanup()


async def asked(fake, **how):
    """Return the rows that a query gets, with two queries asked."""
    fake.scrape(90.0, "m 7\n")
    api = PrometheusApi(PrometheusServer(url=fake.url, timeout_s=60.0, **how))
    try:
        await api.query("m{}[60s]", 100.0)
        return await api.query("m{}[50s]", 100.0)
    finally:
        api.close()


ROWS = [({"__name__": "m"}, [(90.0, 7.0)])]


@pytest.fixture
def aws(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.mark.usefixtures("aws")
async def test_amazon_s_signature_is_right_for_each_query():
    async with fake_prometheus(Checking(signed_for_aps)) as fake:
        assert await asked(fake, aws_region="eu-west-1") == ROWS


@pytest.mark.usefixtures("aws")
async def test_a_signature_for_another_region_is_refused_and_no_secret_is_told():
    async with fake_prometheus(Checking(signed_for_aps)) as fake:
        with pytest.raises(SourceError, match="403: signed for") as caught:
            await asked(fake, aws_region="us-east-1")
    assert SECRET not in str(caught.value)


@pytest.fixture(autouse=True)
def _nothing_left():
    yield
    gc.collect()


@pytest.fixture
def tls(tmp_path, monkeypatch):
    authority(tmp_path)
    certificate(tmp_path, "server", 1)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "server.crt", tmp_path / "server.key")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.crt"))
    return context


def giving_out(given):
    async def answer(request):
        form = dict(await request.post())
        given.append(form)
        shown = form.get("client_secret") == SECRET or form.get("client_assertion") == SECRET
        if not shown or form.get("client_id") != "kvtide":
            error = {"error": "invalid_client", "error_description": "who is that"}
            return web.json_response(error, status=401)
        token = {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}
        return web.json_response(token)

    return answer


@pytest.mark.parametrize("file", ["oauth2_client_secret_file", "oauth2_client_assertion_file"])
async def test_a_token_for_client_credentials_is_got_once_and_shown(tls, tmp_path, file):
    given: list[dict[str, object]] = []
    (tmp_path / "shown").write_text(SECRET)
    async with issuer(giving_out(given), tls) as url, fake_prometheus(Checking(bearer)) as fake:
        found = await asked(
            fake,
            oauth2_token_url=url,
            oauth2_client_id="kvtide",
            oauth2_scope="read",
            **{file: str(tmp_path / "shown")},
        )
    assert found == ROWS
    assert [form["grant_type"] for form in given] == ["client_credentials"]
    assert given[0]["scope"] == "read"


async def test_a_client_that_the_issuer_does_not_know_is_told_without_its_secret(tls, tmp_path):
    (tmp_path / "shown").write_text("another-planted-secret")
    async with issuer(giving_out([]), tls) as url, fake_prometheus(Checking(bearer)) as fake:
        with pytest.raises(SourceError, match="credentials: .*invalid_client: who is") as caught:
            await asked(
                fake,
                oauth2_token_url=url,
                oauth2_client_id="kvtide",
                oauth2_client_secret_file=str(tmp_path / "shown"),
            )
    assert "another-planted-secret" not in str(caught.value)


async def test_google_s_default_credentials_are_shown(tmp_path, monkeypatch):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    written = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    claims: list[dict[str, str]] = []

    async def answer(request):
        assertion = str((await request.post())["assertion"])
        signed, _, signature = assertion.rpartition(".")
        key.public_key().verify(
            _decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
        claims.append(json.loads(_decoded(signed.partition(".")[2])))
        return web.json_response({"access_token": TOKEN, "expires_in": 3600})

    async with issuer(answer) as url, fake_prometheus(Checking(bearer)) as fake:
        account = {
            "type": "service_account",
            "project_id": "p",
            "private_key_id": "k",
            "private_key": written.decode(),
            "client_email": "kvtide@p.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": url,
        }
        (tmp_path / "account.json").write_text(json.dumps(account))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
        assert await asked(fake, google_auth=True) == ROWS
    assert [one["scope"] for one in claims] == ["https://www.googleapis.com/auth/monitoring.read"]


async def test_without_default_credentials_google_s_library_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    async with fake_prometheus(Checking(bearer)) as fake:
        with pytest.raises(SourceError, match="credentials: .*absent.json"):
            await asked(fake, google_auth=True)


@pytest.mark.parametrize(
    ("stated", "says"),
    [
        (
            {"aws_region": "x", "google_auth": True},
            "aws_region: stated beside google_auth; state one of them",
        ),
        ({"aws_region": "x", "bearer_token_file": "t"}, "one of them"),
        ({"oauth2_token_url": "https://i/t"}, "oauth2_client_id"),
        (
            {"oauth2_token_url": "https://i/t", "oauth2_client_id": "c"},
            "oauth2_client_secret_file: missing; state it, or oauth2_client_assertion_file",
        ),
        (
            {
                "oauth2_token_url": "http://i/t",
                "oauth2_client_id": "c",
                "oauth2_client_secret_file": "s",
            },
            "oauth2_token_url: got 'http://i/t'; allowed: https",
        ),
    ],
)
def test_one_way_in_is_stated_and_in_full(stated, says):
    with pytest.raises(ConfigurationError, match=says):
        PrometheusServer(url="http://p", **stated)


def _decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
