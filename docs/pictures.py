"""
Pictures of the pages for the README: ``python -m docs.pictures``, by hand after a change of them.

The demo's real server is started, and Debian's Chromium looks at it through Playwright.
"""

import asyncio
import pathlib
import re
import shutil
import sys

from playwright.async_api import Page, async_playwright

HERE = pathlib.Path(__file__).parent / "pictures"
SHOTS = (
    ("overview", "", 1100, 560, "light"),
    ("object", "objects/llm/chat", 1100, 1000, "light"),
    ("pool", "objects/llm/finetune", 1100, 760, "dark"),
)
"""Name, path, width, height, scheme."""
WARM_UP_S = 75
"""By then the demo's day has its first surge behind it."""


async def main() -> None:
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scaler", "demo", "--duration", "3m", "--prometheus", "embedded"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        url = await _address(demo)
        await asyncio.sleep(WARM_UP_S)
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
            )
            page = await browser.new_page()
            for name, path, width, height, scheme in SHOTS:
                await _shot(page, url + path, name, (width, height), scheme)
            await browser.close()
    finally:
        demo.terminate()
        await demo.wait()


async def _address(demo: asyncio.subprocess.Process) -> str:
    """Return the page's address, as the demo's first lines say it."""
    assert demo.stdout is not None  # noqa: S101 -- it is a pipe
    async for line in demo.stdout:
        if found := re.search(r"status page\s+(http://\S+)", line.decode()):
            asyncio.ensure_future(_drain(demo.stdout))  # noqa: RUF006 -- ends with the process
            return found[1]
    raise RuntimeError("the demo ended without a word on its page")


async def _drain(lines: asyncio.StreamReader) -> None:
    async for _ in lines:
        pass


async def _shot(page: Page, url: str, name: str, size: tuple[int, int], scheme: str) -> None:
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    await page.goto(url)
    HERE.mkdir(exist_ok=True)
    await page.screenshot(path=HERE / f"{name}.png")


if __name__ == "__main__":
    asyncio.run(main())
