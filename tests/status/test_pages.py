"""The pages for people: what is said first, what is shown of each object, in both languages."""

import contextlib
import dataclasses
import re
from typing import cast

import aiohttp
import pytest
from aiohttp import web

from scaler.decision.decision import Decision, Reason, Signal
from scaler.errors import NoDataError
from scaler.report.moments import Moment
from scaler.said import Said, joined
from scaler.serving.history import History, Origin
from scaler.serving.units import Picture, Strip, Use
from scaler.settings import RUNBOOKS
from scaler.status.app import View, application
from scaler.status.banner import Links
from scaler.status.object_page import Shown
from scaler.status.past import Limits, _average
from scaler.status.words import LANGUAGES, catalogue, choose
from scaler.telemetry.process import Telemetry
from tests.status.test_app import ANSWERED, LENT, NOW_S, SILENT, WELL, WRONG

DECIDED = cast("Decision", ANSWERED.decision)
LINKS = Links(
    runbooks="https://docs.example/runbooks", dashboard="https://g.example/d/x?ns={namespace}"
)
HOUR = History(
    origin=Origin.METRICS,
    moments=[
        Moment(at_s=NOW_S - 600, reason="Demand", detail="", wanted=2, ran=2, load=1.0),
        Moment(at_s=NOW_S - 300, reason="Panic", detail="a surge", wanted=5, ran=2, panic=True),
        Moment(at_s=NOW_S - 200, reason="NoData", detail="silence"),
        Moment(at_s=NOW_S - 100, reason="Demand", detail="", wanted=3, ran=5, load=2.0),
    ],
)
POOL = Picture(
    whole=Strip(name="", uses=((Use.SERVING, 2), (Use.LENT, 5), (Use.FREE, 1))),
    nodes=(
        Strip(name="gpu-a", uses=((Use.SERVING, 2), (Use.UNKNOWN, 2)), schedulable=False),
        Strip(name="gpu-b", uses=((Use.LOADING, 1), (Use.RECLAIMING, 2), (Use.RESERVED, 1))),
    ),
)


@contextlib.asynccontextmanager
async def site(*seen, standing=WELL, shown=None, links=LINKS, pages=True):
    async def gather(key, span_s):
        if isinstance(shown, Exception):
            raise shown
        return shown or Shown(history=HOUR, limits=Limits(least=1, most=8, target=0.7))

    view = View(
        observations=lambda: seen,
        standing=lambda: standing,
        exposition=Telemetry().exposition,
        clock=lambda: NOW_S,
        gather=gather,
        links=links,
        pages=pages,
    )
    runner = web.AppRunner(application(view))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    try:
        async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
            yield session
    finally:
        await runner.cleanup()


async def text_of(session, path, **headers):
    async with session.get(path, headers=headers) as response:
        return re.sub(r"<(style|script)>.*?</\1>", "", await response.text(), flags=re.DOTALL)


async def test_the_overview_says_first_what_needs_a_person():
    async with site(ANSWERED, LENT, SILENT, WRONG) as session:
        text = await text_of(session, "/")

    assert text.index("2 of 4 objects have no answer") < text.index(">prod/code<")
    assert text.index(">prod/code<") < text.index(">prod/chat<") < text.index(">ml/train<")
    for words in ("newest sample is 300 s old", "5 min ago", "none yet", "4 at most", "2 h ago"):
        assert words in text, words


async def test_load_is_a_share_of_what_the_ready_replicas_aim_at():
    async with site(ANSWERED, LENT) as session:
        text = await text_of(session, "/")

    assert "200%" in text  # load 4.2 over 0.7 of three ready replicas
    assert "22%" in text  # of the pool


async def test_a_held_object_says_what_is_kept_and_what_was_asked_for():
    before = dataclasses.replace(DECIDED, spec_replicas=3)
    async with site(dataclasses.replace(SILENT, before=before)) as session:
        assert "Kept at 3; asked for 4 before." in await text_of(session, "/")


@pytest.mark.parametrize(
    ("query", "there", "gone"),
    [
        ("state=held", "prod/code", "prod/chat"),
        ("state=panic", "prod/chat", "prod/code"),
        ("state=lending", "ml/train", "prod/chat"),
        ("state=wrong", "prod/typo", "prod/code"),
        ("q=CHAT", "prod/chat", "ml/train"),
    ],
)
async def test_rows_are_filtered_by_the_address(query, there, gone):
    async with site(ANSWERED, LENT, SILENT, WRONG) as session:
        text = await text_of(session, f"/?{query}")

    assert f'id="{there}"' in text
    assert f'id="{gone}"' not in text
    assert "1 of 4 shown" in text


async def test_a_filter_that_nothing_passes_says_so():
    async with site(ANSWERED) as session:
        assert "Nothing matches" in await text_of(session, "/?q=nobody")


@pytest.mark.parametrize(("sort", "first"), [("object", "a/one"), ("-wanted", "b/two")])
async def test_rows_are_sorted_by_the_address_and_the_heading_says_so(sort, first):
    few = dataclasses.replace(ANSWERED, namespace="a", scaled_object="one")
    many = dataclasses.replace(
        ANSWERED,
        namespace="b",
        scaled_object="two",
        decision=dataclasses.replace(
            DECIDED, steps=(dataclasses.replace(DECIDED.steps[0], replicas=9),)
        ),
    )
    async with site(few, many) as session:
        text = await text_of(session, f"/?sort={sort}")

    rows = re.findall(r'<tr id="([^"]+)"', text)
    assert rows[0] == first
    assert f'aria-sort="{"descending" if sort.startswith("-") else "ascending"}"' in text


async def test_an_object_has_its_chain_its_past_and_its_links():
    async with site(ANSWERED) as session:
        text = await text_of(session, "/objects/prod/chat")

    for words in (
        "load 4.2 over 0.7",
        'ready: 3 · min–max: 1–4 · data age: <span class="age">4 s ago</span>',
        "abstains",
        "A replica may hold 10 requests at once, bound by kv.",
        "The tolerance of the HPA is not known.",
        "2 → 5, panic began",
        "5 → –",
        "– → 3",
        "as Prometheus recorded them",
        'href="https://g.example/d/x?ns=prod"',
        'href="https://docs.example/runbooks#kvtideoverload"',
        'href="../../api/decisions/prod/chat"',
    ):
        assert words in text, words
    assert text.count('class="plot wide"><svg') == 2  # no safe concurrency was recorded
    assert text.count('class="plot narrow"><svg') == 2
    assert (
        re.findall(r"<title>(\d\d:\d\d:\d\d \d+ → \d+ \w+)</title>", text)
        == ["22:08:20 2 → 5 Panic"] * 2
    )


async def test_the_load_is_drawn_with_its_averages_and_what_they_are_held_against():
    moments = [
        Moment(at_s=NOW_S + 10 * at, reason=reason, detail="", wanted=2, ran=2, load=load)
        for at, (reason, load) in enumerate(
            [("Demand", 1.0), ("Forecast", 3.0), ("Demand", None), ("Demand", 5.0)]
        )
    ]
    limits = Limits(target=0.7, panic_from=1.4, stable_s=30.0, panic_s=6.0)
    shown = Shown(history=History(origin=Origin.METRICS, moments=moments), limits=limits)
    async with site(ANSWERED, shown=shown) as session:
        text = await text_of(session, "/objects/prod/chat")

    names = re.findall(r"<text[^>]*>([^<]+)</text>", text)
    for name in ("stable average", "panic from", "target of what is ready", "forecast decides"):
        assert name in names, name
    assert "panic average" not in names  # its window is shorter than what lies between two moments
    assert _average([(m.at_s, m.load) for m in moments], 30.0) == [
        (NOW_S, 1.0),
        (NOW_S + 10, 2.0),
        (NOW_S + 20, 2.0),
        (NOW_S + 30, 4.0),
    ]


async def test_the_banner_is_of_the_answers_that_the_page_shows():
    """Answers change while a page is made: it must not say that one is held, and show none."""
    answers = iter([(ANSWERED,), (SILENT,)])
    view = View(
        observations=lambda: next(answers),
        standing=lambda: WELL,
        exposition=Telemetry().exposition,
        clock=lambda: NOW_S,
    )
    runner = web.AppRunner(application(view))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
            assert "Every ScaledObject has an answer (1)" in await text_of(session, "/")
    finally:
        await runner.cleanup()


async def test_a_thousand_objects_are_one_small_page():
    many = [dataclasses.replace(ANSWERED, scaled_object=f"chat-{n:04}") for n in range(1000)]
    async with site(*many) as session:
        async with session.get("/", headers={"Accept-Encoding": "identity"}) as response:
            whole = len(await response.read())
        async with session.get("/?q=chat-0042") as response:
            one = await response.text()

    assert whole < 700_000
    assert "1 of 1000 shown" in one


async def test_a_borrower_is_told_in_workers_and_in_shares_of_the_pool():
    signal = Signal(name="online-load", load=0.07, target=0.7, detail="")
    decision = dataclasses.replace(cast("Decision", LENT.decision), signals=(signal,))
    async with site(dataclasses.replace(LENT, decision=decision)) as session:
        text = await text_of(session, "/objects/ml/train")

    assert '<td class="n" data-label="online load, % of the pool">7%</td>' in text
    assert '<td class="n" data-label="target">70%</td>' in text
    assert ">workers</th>" in text
    assert ">replicas</th>" not in text


async def test_a_pool_is_drawn_by_letter_and_told_in_words():
    async with site(LENT, shown=Shown(history=HOUR, pool=POOL)) as session:
        text = await text_of(session, "/objects/ml/train")

    assert 'aria-label="2 serving, 5 lent, 1 free"' in text
    assert text.count('<span class="unit lent">L</span>') == 5 + 1  # one in the legend
    assert "gpu-a" in text
    assert "takes no pods" in text


async def test_of_what_was_lent_the_page_says_how_much_and_what_can_be_lost_at_most():
    moments = [
        Moment(at_s=NOW_S - 3600 * hours, reason="Lent", detail="", wanted=wanted)
        for hours, wanted in ((6, 0), (5, 2), (3, 4), (2, None), (1, 0))
    ]
    shown = Shown(
        history=History(origin=Origin.METRICS, moments=moments), limits=Limits(units_per_worker=2)
    )
    async with site(LENT, shown=shown) as session:
        text = await text_of(session, "/objects/ml/train")

    # Two workers of two GPUs each for four hours and two for two; while held, they run on.
    assert "24.0 GPU-hours; taken back 1 times" in text
    assert "had run for 24.0 GPU-hours" in text


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (NoDataError("nothing is held"), "No history: nothing is held"),
        (
            Shown(history=History(moments=[], origin=Origin.WINDOWS, why="refused: x")),
            "For an hour or a day, let Prometheus scrape kvtide. (refused: x)",
        ),
    ],
)
async def test_where_the_past_is_not_known_the_page_says_why(shown, words):
    async with site(ANSWERED, shown=shown) as session:
        assert words in await text_of(session, "/objects/prod/chat")


async def test_an_object_that_is_not_served_is_a_page_with_404():
    async with site() as session, session.get("/objects/prod/nobody") as response:
        assert response.status == 404
        assert "KEDA has not asked about prod/nobody" in await response.text()


async def test_text_from_outside_stays_text():
    async with site(WRONG) as session:
        for path in ("/", "/objects/prod/typo"):
            async with session.get(path) as response:
                text = await response.text()
                policy = response.headers["Content-Security-Policy"]
            assert "&lt;script&gt;alert(1)" in text
            assert "<script>alert" not in text
            assert "default-src 'none'" in policy
            assert "unsafe-inline" not in policy


@pytest.mark.parametrize(
    ("seen", "standing", "words"),
    [
        ((), WELL, "KEDA has not asked about any ScaledObject yet"),
        ((LENT,), WELL, "Every ScaledObject has an answer (1)"),
        ((), dataclasses.replace(WELL, ready=False), "Starting"),
        (
            (LENT,),
            dataclasses.replace(
                WELL,
                failure="refused: http://p:9090: Connection refused",
                failure_kind="refused",
                failure_detail="http://p:9090: Connection refused",
                failing_since_s=NOW_S,
            ),
            "refuses connections (http://p:9090: Connection refused), since 22:13:20 UTC.",
        ),
        ((LENT,), dataclasses.replace(WELL, failure="odd: x", failure_kind="odd"), "cannot be"),
        ((LENT,), dataclasses.replace(WELL, ticked_s=NOW_S - 90), "old: last seen 22:11:50 UTC"),
        ((LENT,), dataclasses.replace(WELL, draining=True), "Shutting down"),
    ],
    ids=["nobody asked", "all well", "starting", "refused", "another kind", "stuck", "draining"],
)
async def test_the_first_sentence_is_how_the_process_is(seen, standing, words):
    async with site(*seen, standing=standing) as session:
        assert words in await text_of(session, "/")


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        ("zh", "en", "zh"),
        (None, "zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        (None, "fr, en;q=0.5", "en"),
        ("xx", "", "en"),
    ],
)
def test_the_language_is_the_one_asked_for_or_accepted(asked, accepted, language):
    assert choose(asked, accepted) == language


async def test_a_source_that_fails_is_said_once_and_by_no_row_again():
    failed = "refused: http://p:9090: Connection refused"
    standing = dataclasses.replace(
        WELL, failure=failed, failure_kind="refused", failure_detail=failed.partition(": ")[2]
    )
    silent = Said("no fresh readings of {name}", name="Deployment/code")
    detail = joined("; ", (silent, Said("the last read failed: {failure}", failure=failed)))
    held = dataclasses.replace(SILENT, detail=detail, error=NoDataError(detail))
    async with site(held, standing=standing) as session:
        text = await text_of(session, "/")
        fine = await text_of(session, "/objects/prod/code?lang=zh")

    assert text.count("Connection refused") == 1
    assert "no fresh readings of Deployment/code" in text
    assert "最近一次读取失败" in fine


async def test_every_page_speaks_chinese():
    async with site(ANSWERED, SILENT, LENT) as session:
        overview = await text_of(session, "/?lang=zh")
        chat = await text_of(session, "/objects/prod/chat", **{"Accept-Language": "zh-CN"})

    assert '<html lang="zh">' in overview
    assert "3 个对象中有 1 个没有答案" in overview
    assert "objects/prod/chat?lang=zh" in overview
    assert "为什么是这个数" in chat


@pytest.mark.parametrize(
    ("runbooks", "language", "page"),
    [
        (RUNBOOKS, "en", RUNBOOKS),
        (RUNBOOKS, "zh", "https://github.com/kvtide/kvtide/blob/main/docs/zh-CN/runbooks.md"),
        (
            "https://git.corp/mirror/docs/runbooks.md",
            "zh",
            "https://git.corp/mirror/docs/zh-CN/runbooks.md",
        ),
        ("https://wiki.corp/on-call", "zh", "https://wiki.corp/on-call"),
    ],
)
async def test_the_runbook_is_in_the_readers_language_where_it_is_ours(runbooks, language, page):
    async with site(SILENT, LENT, links=Links(runbooks=runbooks)) as session:
        overview = await text_of(session, f"/?lang={language}")
        held = await text_of(session, f"/objects/{SILENT.key}?lang={language}")
        lent = await text_of(session, f"/objects/{LENT.key}?lang={language}")

    assert f'href="{page}#kvtideholding"' in overview
    assert f'href="{page}#kvtideholding"' in held
    assert f'href="{page}#kvtidenotreclaimed"' in lent


async def test_the_reasons_of_an_answer_are_said_in_the_readers_language():
    most = Said("the maximum is {most}", most=4)
    step = dataclasses.replace(DECIDED.steps[0], detail=most)
    decision = dataclasses.replace(DECIDED, steps=(step,), notes=(Said("no replica reports"),))
    async with site(dataclasses.replace(ANSWERED, decision=decision, detail=most)) as session:
        for path in ("/", "/objects/prod/chat"):
            assert "最大副本数为 4" in await text_of(session, f"{path}?lang=zh")
            assert "the maximum is 4" in await text_of(session, f"{path}?lang=en")
        assert "没有副本上报" in await text_of(session, "/objects/prod/chat?lang=zh")


def test_every_sentence_is_there_in_every_language_with_the_same_gaps():
    for key, texts in catalogue().items():
        assert set(texts) == set(LANGUAGES), key
        gaps = {language: set(re.findall(r"{(\w+)", text)) for language, text in texts.items()}
        assert len(set(map(frozenset, gaps.values()))) == 1, key


def test_every_reason_has_a_gloss():
    assert not [reason for reason in Reason if f"reason_{reason.value}" not in catalogue()]


async def test_pages_can_be_switched_off_and_the_rest_stays():
    async with site(ANSWERED, pages=False) as session:
        for path, status in (("/", 404), ("/objects/prod/chat", 404), ("/api/decisions", 200)):
            async with session.get(path) as response:
                assert response.status == status
