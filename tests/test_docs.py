"""Pages: every link leads somewhere, and the two languages stand side by side."""

import pathlib
import re

import pytest

ROOT = pathlib.Path(__file__).parent.parent
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *ROOT.glob("charts/*/README.md")]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(text):
    """Return what headings are called in links, as code hosts do it."""
    headings = re.findall(
        r"^#+ (.+)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE
    )
    return {re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    broken = []
    for link in LINK.findall(text):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = page if not path else (page.parent / path).resolve()
        if not target.exists():
            broken.append(link)
        elif anchor and target.suffix == ".md":
            broken += [link] if anchor not in anchors(target.read_text(encoding="utf-8")) else []

    assert broken == []


@pytest.mark.parametrize("name", ["install", "lending", "runbooks", "signals"])
def test_a_page_in_chinese_is_linked_with_its_english_one(name):
    assert f"(../{name}.md)" in (ROOT / f"docs/zh-CN/{name}.md").read_text(encoding="utf-8")
    assert f"zh-CN/{name}.md" in (ROOT / f"docs/{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["install", "lending", "runbooks", "signals"])
def test_a_page_in_chinese_has_the_sections_tables_and_commands_of_its_english_one(name):
    english, chinese = (
        (ROOT / path).read_text(encoding="utf-8")
        for path in (f"docs/{name}.md", f"docs/zh-CN/{name}.md")
    )

    for pattern in (r"^#+ ", r"^\|"):
        marks = [re.findall(pattern, page, re.MULTILINE) for page in (english, chinese)]
        assert marks[0] == marks[1], pattern
    assert commands(english) == commands(chinese)


def commands(page: str) -> list[str]:
    """Return the lines of a page's blocks of code, without comments."""
    blocks = re.findall(r"^ *```\w*\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    lines = [re.split(r"(?:^|\s+)#", line)[0] for block in blocks for line in block.splitlines()]
    return [line.strip() for line in lines if line.strip()]


def test_every_runbook_is_there_in_both_languages():
    english, chinese = (
        re.findall(r"^### (\w+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
        for path in ("docs/runbooks.md", "docs/zh-CN/runbooks.md")
    )

    assert english == chinese


def test_operations_say_what_each_alert_means():
    alerts = re.findall(r"alert: (\w+)", (ROOT / "dashboards/alerts.yaml").read_text("utf-8"))
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    assert [name for name in alerts if f"`{name}`" not in page] == []


def test_both_readmes_have_the_same_commands_and_manifests():
    english, chinese = (
        (ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh-CN.md")
    )

    assert commands(english) == commands(chinese)
    assert re.findall(r"\| `kvtide (\w+)`", english) == re.findall(r"\| `kvtide (\w+)`", chinese)


@pytest.mark.parametrize(
    "name", ["README", "docs/install", "docs/lending", "docs/runbooks", "docs/signals"]
)
def test_both_languages_speak_of_the_same_keys_and_numbers(name):
    chinese = "README.zh-CN.md" if name == "README" else name.replace("docs", "docs/zh-CN") + ".md"
    texts = [(ROOT / path).read_text(encoding="utf-8") for path in (f"{name}.md", chinese)]

    for what in (keys, numbers):
        said = [what(text) for text in texts]
        assert said[0] ^ said[1] == set(), what.__name__


def keys(page: str) -> set[str]:
    """Return what a page's prose writes as code; formulas are words, and translated."""
    prose = re.sub(r"```.*?```", "", page, flags=re.DOTALL)
    spans = (" ".join(one.split()) for one in re.findall(r"`([^`]+)`", prose))
    return {one for one in spans if not re.search("[×/⌊≤] ", one)}


def numbers(page: str) -> set[str]:
    """Return every figure of a page."""
    return set(re.findall(r"\d[\d.,:]*\d|\d", page))


def test_the_index_names_every_page():
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    missing = [page.name for page in (ROOT / "docs").glob("*.md") if f"({page.name}" not in index]

    assert missing in ([], ["README.md"])
