"""What the README and the docs tell people to type works."""

from __future__ import annotations

import re
import shlex
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
