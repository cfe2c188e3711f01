"""The pages in a real browser: honest when the scaler is gone, calm while read, accessible."""

import contextlib
import dataclasses
import itertools
import os
import pathlib
import re

import pytest
from aiohttp import web
from playwright.async_api import async_playwright, expect

from scaler.decision.decision import Reason, Step
from scaler.status.app import View, application
from scaler.status.object_page import Shown
from scaler.status.past import Limits
from scaler.status.words import LANGUAGES
from scaler.telemetry.process import Telemetry
from tests.programs import program
from tests.status.test_app import ANSWERED, LENT, NOW_S, SILENT, WELL, WRONG
from tests.status.test_pages import DECIDED, HOUR, LINKS, POOL

pytestmark = pytest.mark.browser

AXE = pathlib.Path("/usr/local/share/axe-core/axe.min.js")
SCHEMES = ("light", "dark")
WIDTHS = (1280, 390)
ROUND_MS = 20_000
"""The page looks every five seconds; a slow machine may need a few."""


class Scaler:
    """The HTTP side on a port that stays the same when it goes and comes back."""

    def __init__(self):
        self.seen = [ANSWERED, LENT]
        self.standing = WELL
        self.foreign = None
        self.port = 0
        self._runner: web.AppRunner

    async def start(self):
        async def gather(key, span_s):
            pool = POOL if key == LENT.key else None
            limits = Limits(least=1, most=8, target=0.7, lend_below=0.3, reclaim_above=0.7)
            return Shown(history=HOUR, limits=limits, pool=pool)

        view = View(
            observations=lambda: tuple(self.seen),
            standing=lambda: self.standing,
            exposition=Telemetry().exposition,
            clock=lambda: NOW_S,
            gather=gather,
            links=LINKS,
        )
        app = application(view)
        app.middlewares.append(self._instead)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    @web.middleware
    async def _instead(self, request, handler):
        if self.foreign is not None:
            return web.Response(text=self.foreign, content_type="text/html")
        return await handler(request)

    async def stop(self):
        await self._runner.cleanup()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/"


@pytest.fixture
async def scaler():
    made = Scaler()
    await made.start()
    yield made
    await made.stop()


@contextlib.asynccontextmanager
async def browsing(**options):
    chromium = program("chromium", get_it="make system, or apt-get install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        try:
            yield await browser.new_page(**options)
        finally:
            await browser.close()


async def test_a_scaler_that_is_gone_is_no_green_page(scaler):
    async with browsing() as page:
        await page.goto(scaler.url)
        await expect(page.locator("#banner")).to_have_class("banner ok")
        icon = await page.locator("#icon").get_attribute("href")
        await scaler.stop()

        banner = page.locator("#banner")
        await expect(banner).to_have_class("banner bad", timeout=ROUND_MS)
        assert re.search(
            r"does not answer.*last seen \d\d:\d\d:\d\d UTC", await banner.inner_text()
        )
        await expect(page.locator("body.gone")).to_have_count(1)
        assert await page.locator("td.age").first.get_attribute("data-then") == " (then)"
        assert "no answer" in await page.title()
        assert await page.locator("#icon").get_attribute("href") != icon

        await scaler.start()
        await expect(banner).to_have_class("banner ok", timeout=ROUND_MS)
        await expect(page.locator("body.gone")).to_have_count(0)
        await expect(page.locator("[data-then]:not(body)")).to_have_count(0)
        assert "no answer" not in await page.title()


async def test_a_login_page_in_its_place_is_no_answer(scaler):
    async with browsing() as page:
        await page.goto(scaler.url)
        scaler.foreign = "<html><body><main>Please sign in</main></body></html>"

        banner = page.locator("#banner")
        await expect(banner).to_contain_text("Something else answered", timeout=ROUND_MS)
        assert "sign in" not in await page.content()
        await expect(page.locator("body.gone")).to_have_count(1)


async def test_renewing_moves_neither_focus_nor_what_is_typed(scaler):
    async with browsing() as page:
        await page.goto(scaler.url)
        await page.locator("input[type=search]").press_sequentially("ch")
        more = Step(7, Reason.DEMAND, "load 4.9 over 60 s")
        scaler.seen[0] = _answered(more)

        await expect(page.locator("tr", has_text="prod/chat")).to_contain_text(
            "load 4.9", timeout=ROUND_MS
        )
        assert await page.evaluate("document.activeElement.name") == "q"
        assert await page.locator("input[type=search]").input_value() == "ch"


async def test_while_text_is_selected_nothing_moves_and_that_is_said(scaler):
    async with browsing() as page:
        await page.goto(scaler.url)
        await page.locator("h1").select_text()
        scaler.seen[0] = _answered(Step(7, Reason.DEMAND, "load 4.9 over 60 s"))

        await expect(page.locator("#paused")).to_contain_text("Paused", timeout=ROUND_MS)
        assert "load 4.9" not in await page.locator("main").inner_text()


async def test_every_row_is_reached_by_the_keyboard(scaler):
    async with browsing() as page:
        await page.goto(scaler.url)
        for _ in range(30):
            await page.keyboard.press("Tab")
            if await page.evaluate("document.activeElement.textContent") == "prod/chat":
                break
        await page.keyboard.press("Enter")

        await expect(page).to_have_url(re.compile("/objects/prod/chat"))


FAILING = dataclasses.replace(
    WELL,
    failure="refused: http://prometheus:9090: Connection refused",
    failure_kind="refused",
    failure_detail="http://prometheus:9090: Connection refused",
    failing_since_s=NOW_S - 600,
)
BEFORE = dataclasses.replace(DECIDED, spec_replicas=3)
STATES = {
    "starting": ("", [], dataclasses.replace(WELL, ready=False)),
    "healthy": ("", [ANSWERED, LENT], WELL),
    "held": ("", [ANSWERED, LENT, dataclasses.replace(SILENT, before=BEFORE), WRONG], WELL),
    "source fails": ("", [ANSWERED, LENT], FAILING),
    "stale": ("", [ANSWERED, LENT], dataclasses.replace(WELL, ticked_s=NOW_S - 90)),
    "scaler gone": ("", [ANSWERED, LENT], WELL),
    "an object": ("objects/prod/chat", [ANSWERED], WELL),
    "pool reclaiming": ("objects/ml/train", [ANSWERED, LENT], WELL),
    "no such object": ("objects/no/body", [ANSWERED], WELL),
}
"""Name: path, objects, how the process is."""


CLIPPED = """() => [...document.querySelectorAll('.plot svg')].flatMap(svg => {
  const box = svg.getBoundingClientRect();
  if (!box.width) return [];
  return [...svg.querySelectorAll('text')].map(text => [text, text.getBoundingClientRect()])
    .filter(([, at]) => at.left < box.left || at.right > box.right || at.height < 9)
    .map(([text]) => text.textContent);
})"""
"""What of the plots that are shown runs out of its picture, or is too small to be read."""


@pytest.mark.parametrize("state", STATES)
async def test_no_state_has_an_axe_violation_or_a_sideways_scroll(scaler, axe, state):
    """Both languages, schemes and widths; ``KVTIDE_PICTURES`` names a folder to look at them."""
    path, scaler.seen, scaler.standing = STATES[state]
    async with browsing() as page:
        errors = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        for language in LANGUAGES:
            await page.goto(f"{scaler.url}{path}?lang={language}")
            if state == "scaler gone":
                await scaler.stop()
                await expect(page.locator("body.gone")).to_have_count(1, timeout=ROUND_MS)
            is_old = state in {"stale", "scaler gone"}
            assert await page.locator("body.gone").count() == is_old
            title = await page.title()
            assert title.startswith("⚠") == (is_old or state in {"held", "source fails"})
            for scheme, width in itertools.product(SCHEMES, WIDTHS):
                await page.emulate_media(color_scheme=scheme)
                await page.set_viewport_size({"width": width, "height": 900})
                assert await _violations(page, axe) == [], (language, scheme, width)
                wide = await page.evaluate("document.documentElement.scrollWidth")
                assert wide <= width, (language, scheme, width)
                assert await page.evaluate(CLIPPED) == [], (language, scheme, width)
                await _picture(page, f"{state}-{scheme}-{width}-{language}")
            if state == "scaler gone":
                await scaler.start()
    assert [one for one in errors if "404" not in one and "ERR_CONNECTION" not in one] == []


async def _picture(page, name):
    if folder := os.environ.get("KVTIDE_PICTURES"):
        await page.screenshot(path=pathlib.Path(folder) / f"{name}.png", full_page=True)


@pytest.fixture(scope="module")
def axe():
    if not AXE.exists():
        program("axe-core", get_it=f"make system puts it at {AXE}")
    return AXE.read_text(encoding="utf-8")


async def _violations(page, axe):
    """Run axe-core past the page's own policy, as a browser's extension would."""
    await page.evaluate(axe)
    found = await page.evaluate("axe.run()")
    # Text in the colour of what it stands on may be meant: axe only asks.
    asked = [
        dict(one, nodes=nodes)
        for one in found["incomplete"]
        if (nodes := [node for node in one["nodes"] if "equalRatio" in str(node["any"])])
    ]
    return [
        (one["id"], [node["html"][:120] for node in one["nodes"]])
        for one in (*found["violations"], *asked)
    ]


def _answered(step):
    decision = dataclasses.replace(DECIDED, steps=(step,), panic=False)
    return dataclasses.replace(
        ANSWERED, decision=decision, reason=step.reason.value, detail=step.detail
    )
