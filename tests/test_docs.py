"""What the README and the docs tell people to type works."""

from __future__ import annotations

import re
import shlex
import subprocess
from functools import cache
from pathlib import Path

import pytest

from bench.cli import main
from tests.bench.cells import ROOT
from tests.datasets.real import data_root

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def code_blocks(page: Path, language: str = "") -> list[str]:
    """Fenced blocks of a page in one language ("" for blocks without one)."""
    fenced = r"^```(\w*)\n(.*?)^```$"
    blocks = re.findall(fenced, page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return [text for name, text in blocks if name == language]


def commands() -> list[str]:
    """Every ``python -m bench`` command line of the README, without comments and environment."""
    lines = "".join(code_blocks(ROOT / "README.md")).replace("\\\n", " ").splitlines()
    found = [line.partition("#")[0].strip() for line in lines if "python -m bench" in line]
    return [line[line.index("python -m bench") :] for line in found]


@pytest.mark.parametrize("command", commands())
def test_readme_commands_plan(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    if "dataset=baby" in command:
        monkeypatch.setenv("LETHE_DATA", str(data_root("baby")))
    assert main([*shlex.split(command)[3:], "run.dry=true"]) == 0


def test_the_readme_has_commands() -> None:
    assert len(commands()) >= 5


def test_readme_names_the_two_commands_and_make_knows_them() -> None:
    readme, makefile = (ROOT / "README.md").read_text(), (ROOT / "Makefile").read_text()
    for target in ("demo", "test", "ui"):
        assert f"make {target}" in readme
        assert re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for link in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            if "://" not in link:
                assert (page.parent / link).exists(), f"{page.name}: {link}"


GENERATED = ("site/", "report.md", "leaderboard.md", "card.md", "dataset/card.md", "DIR/card.md")
"""Pages that commands write."""
CITING = ROOT / "results" / "published"
"""Data that cites files of other repositories as its sources."""
OUTSIDE = re.compile(
    r"\bspec [\w-]+\.md|\bspec/|\bspec,? section|\blab-notes\b|(?<![\w/.])shared/\w|/work/\w"
    r"|\.md,? (?:[A-Z]\d|\d+\.\d|§|sections? \d)"
)
"""Words for files that are not part of the repository; none of its own documents has numbered sections."""


@cache
def texts() -> dict[Path, str]:
    """Every text file of the checkout but this one, whose patterns it would find."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout.splitlines()
    kinds = {".py", ".md", ".yaml", ".yml", ".toml", ".txt", ".js", ".html", ".css", ""}
    files = [ROOT / name for name in names if Path(name).suffix in kinds]
    return {
        file: file.read_text(encoding="utf-8") for file in files if file.is_file() and file != Path(__file__)
    }


def test_no_text_names_a_page_that_is_not_part_of_the_repository() -> None:
    for file, text in texts().items():
        if file.is_relative_to(CITING) or file.is_relative_to(ROOT / "tests"):  # tests name files they write
            continue
        for name in re.findall(r"(?<![\w/*{}-])[\w./-]*\w\.md\b", text):
            there = any((place / name).exists() for place in (file.parent, ROOT, ROOT / "docs"))
            assert there or name.startswith(GENERATED), f"{file.relative_to(ROOT)} names {name}"


def test_no_text_points_outside_the_repository() -> None:
    for file, text in texts().items():
        found = OUTSIDE.search(text)
        assert found is None, f"{file.relative_to(ROOT)} says {found and found.group()}"


GLOSSARY = ROOT / "docs" / "glossary.md"
OTHER_MEANINGS = {
    r"\bpublish(ing)?\b": "models are kept, folders put in place, pages refreshed; papers have published",
    r"\b(?<!`)trials?\b(?=[^.]*\battack)": "an attack is tried in attempts",
    r"\bsweep (from|of) \S+ to\b": "a paper searches a range",
}
"""Uses of the glossary's words in another meaning, and what to say instead."""


def terms() -> list[str]:
    """The words that the glossary explains: those in bold that begin an entry."""
    entries = re.findall(r"^- (\*\*.*?)(?:: |\. )", GLOSSARY.read_text(encoding="utf-8"), re.MULTILINE)
    return [term for entry in entries for term in re.findall(r"\*\*(.+?)\*\*", entry)]


def prose() -> dict[Path, str]:
    """README and docs; the glossary lists other meanings, and recorded results stay as they were measured."""
    return {page: page.read_text(encoding="utf-8") for page in PAGES if page.parent.name != "results"}


def test_every_term_of_the_glossary_is_used() -> None:
    others = " ".join(text for page, text in prose().items() if page != GLOSSARY).lower()
    assert len(terms()) >= 40
    assert [term for term in terms() if not re.search(rf"\b{re.escape(term.lower())}", others)] == []


@pytest.mark.parametrize("term", ["cell", "request", "forget set", "retain set", "gold", "original", "row"])
def test_the_glossary_explains_what_a_reader_needs_first(term: str) -> None:
    assert term in [known.lower() for known in terms()]


def test_a_word_of_the_glossary_has_no_other_meaning() -> None:
    for page, text in prose().items():
        for pattern, instead in OTHER_MEANINGS.items():
            found = re.search(pattern, text) if page != GLOSSARY else None
            assert found is None, f"{page.relative_to(ROOT)} says {found and found.group()}: {instead}"
