"""The documentation for people: every link leads somewhere, every page is in the index."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.processes import PROJECT

PAGES = sorted([*PROJECT.glob("*.md"), *(PROJECT / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text()):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_index_has_every_page() -> None:
    index = (PROJECT / "docs/README.md").read_text()
    assert [
        page.name
        for page in PAGES
        if page.parent.name == "docs" and page.name not in (*LINK.findall(index), "README.md")
    ] == []


def test_the_architecture_names_files_that_are_there() -> None:
    text = (PROJECT / "docs/architecture.md").read_text()
    everything = [
        str(path.relative_to(PROJECT))
        for room in ("NexusCore", "Services", "Tools", "Logger", "tests")
        for path in (PROJECT / room).rglob("*.py")
    ]
    named = re.findall(r"`([\w/]+\.py)`", text)
    assert len(named) > 30
    assert [name for name in named if not any(f"/{path}".endswith(f"/{name}") for path in everything)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_module_that_is_to_be_run_is_there(page: Path) -> None:
    for name in re.findall(r"python -m ((?:NexusCore|Services|Tools|Logger)[\w.]*\w)", page.read_text()):
        path = PROJECT / name.replace(".", "/")
        assert path.with_suffix(".py").exists() or (path / "__main__.py").exists(), name
