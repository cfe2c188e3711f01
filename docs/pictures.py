"""
Pictures of the pages for the README: ``python -m docs.pictures``, by hand after a change of them.

The demo's real server is started in a terminal, whose frame is kept, and Debian's Chromium looks at
its pages through Playwright.
"""

import asyncio
import fcntl
import io
import os
import pathlib
import pty
import re
import shutil
import struct
import sys
import termios

from playwright.async_api import Page, async_playwright
from rich.console import Console
from rich.text import Text

HERE = pathlib.Path(__file__).parent / "pictures"
SHOTS = (
    ("overview", "", 1100, 560, "light"),
    ("object", "objects/llm/chat", 1100, 1180, "light"),
    ("pool", "objects/llm/finetune", 1100, 760, "dark"),
)
"""Name, path, width, height, scheme."""
TERMINAL = (44, 112)
"""Rows and columns."""
WARM_UP_S = 75
"""By then the demo's day has its first surge behind it."""


class Terminal:
    """A terminal that a program writes to, and what stands on it."""

    def __init__(self) -> None:
        self._ours, self.theirs = pty.openpty()
        size = struct.pack("HHHH", *TERMINAL, 0, 0)
        fcntl.ioctl(self.theirs, termios.TIOCSWINSZ, size)
        self._written = bytearray()
        asyncio.get_running_loop().add_reader(self._ours, self._read)

    def _read(self) -> None:
        try:
            self._written += os.read(self._ours, 65_536)
        except OSError:  # whoever wrote has ended
            asyncio.get_running_loop().remove_reader(self._ours)

    async def seen(self, pattern: str) -> str:
        """Wait for something to stand there."""
        for _ in range(600):
            if found := re.search(pattern, self._text):
                return found[1]
            await asyncio.sleep(0.2)
        raise RuntimeError(f"{pattern!r} was never shown")

    @property
    def _text(self) -> str:
        return self._written.decode("utf-8", "replace").replace("\r\n", "\n")

    def svg(self, title: str) -> str:
        """Return the frame that stands there now: what was written since the last was wiped."""
        frames = re.split(r"(?:\r|\x1b\[\d*A|\x1b\[2K)+", self._text)
        whole = max(frames[-3:], key=len)  # the last may be half written
        console = Console(record=True, file=io.StringIO(), width=TERMINAL[1], force_terminal=True)
        console.print(Text.from_ansi(whole))
        # No font from elsewhere: a reader's own will do.
        return re.sub(r"@font-face \{.*?\}", "", console.export_svg(title=title), flags=re.DOTALL)


async def main() -> None:
    HERE.mkdir(exist_ok=True)
    terminal = Terminal()
    demo = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scaler", "demo", "--duration", "3m", "--prometheus", "embedded"),
        stdout=terminal.theirs,
        env=os.environ | {"TERM": "xterm-256color", "COLORTERM": "truecolor"},
    )
    try:
        url = await terminal.seen(r"status page\s+(http://[\d.:]+/)")
        await asyncio.sleep(WARM_UP_S)
        (HERE / "demo.svg").write_text(terminal.svg("make demo"), encoding="utf-8")
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


async def _shot(page: Page, url: str, name: str, size: tuple[int, int], scheme: str) -> None:
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    await page.set_viewport_size({"width": size[0], "height": size[1]})
    await page.goto(url)
    await page.screenshot(path=HERE / f"{name}.png")


if __name__ == "__main__":
    asyncio.run(main())
