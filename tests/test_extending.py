"""docs/add-a-method.md, followed to the letter: in a copy of the checkout, and in somebody else's package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.cli import main
from bench.config import registry
from bench.config.schema import TrackingConfig
from bench.config.source import code_digest, options_of
from bench.record.store import Store
from datasets.errors import InputError
from tests.bench.cells import ROOT, TINY
from tests.test_docs import code_blocks

PAGE, FURTHER = ROOT / "docs" / "add-a-method.md", ROOT / "docs" / "extend.md"
REGISTRY = "unlearning/__init__.py"


def files_of_the_page(page: Path = PAGE) -> dict[str, str]:
    """Text by the file that the first comment of a block names."""
    blocks = [text for language in ("python", "yaml", "toml") for text in code_blocks(page, language)]
    return {re.match(r"# (\S+)\n", text).group(1): text for text in blocks}  # type: ignore[union-attr]


def ran(folder: Path, *command: str, path: tuple[Path, ...] = ()) -> str:
    """Output of a command in a folder from which Lethe's packages are imported; it must succeed."""
    places = os.pathsep.join(map(str, (folder, *path)))
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": places, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


def copy_of_the_checkout(folder: Path) -> None:
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True, text=True).stdout
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


SLOWEST = "mig_gt or mmgcn or slmrec or lgmrec"
"""Backbones that cost half of the time; which ones a method meets here is not what these tests are about."""


def over_the_registry() -> list[str]:
    """Test files whose tests go over all methods: there a new one is tested by being registered."""
    files = sorted({*(ROOT / "tests").rglob("test_*.py")} - {Path(__file__)})
    return [str(f.relative_to(ROOT)) for f in files if 'registry("method")' in f.read_text(encoding="utf-8")]


def passed(output: str) -> int:
    found = re.search(r"(\d+) passed", output)
    return int(found.group(1)) if found else 0


def test_the_page_followed_to_the_letter_passes_what_make_test_runs(tmp_path: Path) -> None:
    copy_of_the_checkout(tmp_path)
    files = files_of_the_page()
    registered = files.pop(REGISTRY).partition("\n")[2]
    del files["pyproject.toml"]  # of the other way, the package
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    known = (tmp_path / REGISTRY).read_text(encoding="utf-8")
    start = "METHODS: dict[str, str] = {\n"
    assert start in known
    (tmp_path / REGISTRY).write_text(known.replace(start, start + registered), encoding="utf-8")
    ran(tmp_path, "tests.programs.house_map")

    ran(tmp_path, "ruff", "format", "--check", "unlearning")
    ran(tmp_path, "ruff", "check", "unlearning")
    # The cache of the checkout, which make test has just filled: files were copied with their times.
    ran(tmp_path, "mypy", "--cache-dir", str(ROOT / ".mypy_cache"), "unlearning/ascent.py")
    quiet = ("pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider")
    only = f"(ascent and not ({SLOWEST})) or map"
    tested = ran(tmp_path, *quiet, *over_the_registry(), "tests/test_house.py", "-k", only)
    assert passed(tested) >= 12


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The packages of both pages in one, as an installer would leave it."""
    method, further = files_of_the_page(), files_of_the_page(FURTHER)
    projects = [tomllib.loads(files.pop("pyproject.toml"))["project"] for files in (method, further)]
    method["my_methods/ascent.py"] = method.pop("unlearning/ascent.py")
    del method[REGISTRY]
    for name, text in {"my_methods/__init__.py": "", **method, **further}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    groups = [found for project in projects for found in project["entry-points"].items()]
    install(tmp_path, {group: [f"{k} = {v}" for k, v in own.items()] for group, own in groups})
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    _forget()
    yield tmp_path
    _forget()
    for name in [name for name in sys.modules if name.partition(".")[0] == "my_methods"]:
        del sys.modules[name]


def install(folder: Path, entries: dict[str, list[str]]) -> None:
    """Write what an installer leaves beside a package: its metadata with the entry points."""
    metadata = folder / "my_methods-0.1.dist-info"
    metadata.mkdir(exist_ok=True)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-methods\nVersion: 0.1\n")
    text = "\n".join("\n".join([f"[{group}]", *lines]) for group, lines in entries.items())
    (metadata / "entry_points.txt").write_text(text + "\n", encoding="utf-8")


def _forget() -> None:
    for cached in (registry.registry, options_of, code_digest):
        cached.cache_clear()


def test_the_cell_of_the_page_uses_what_a_package_brings(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (line,) = (line for text in code_blocks(FURTHER) for line in text.splitlines() if "-m bench" in line)
    shared = [word for word in TINY if not word.startswith("dataset")]
    assert main([*shared, *line.split()[3:], "method=ascent", "method.step=0.5"]) == 0
    assert "ascent" in capsys.readouterr().out
    store = Store(TrackingConfig(uri=f"sqlite:///{package}/mlflow.db"))
    (run,) = store.runs("tags.`lethe.kind` = 'cell'")
    assert {"audit/norm/weights", "audit/norm/gold_weights"} <= run.data.metrics.keys()
    assert run.data.params["method.step"] == "0.5"
    assert run.data.metrics["request/pairs"] == 2
    assert run.data.metrics["request/users"] == 0
    assert main([*shared, *line.split()[3:], "regime.file=x.csv"]) == 2
    assert "regime.file=x.csv does not go with regime=single, which takes no list" in capsys.readouterr().err


def test_what_the_page_prints_passes_the_linter(tmp_path: Path) -> None:
    for name, text in files_of_the_page(FURTHER).items():
        if name.endswith(".py"):
            (tmp_path / Path(name).name).write_text(text, encoding="utf-8")
    config = ("--config", str(ROOT / "pyproject.toml"))
    ran(tmp_path, "ruff", "format", "--check", *config, ".")
    ran(tmp_path, "ruff", "check", *config, ".")


def test_the_contract_tests_run_on_a_method_of_a_package(package: Path) -> None:
    quiet = (
        "pytest",
        "-q",
        "-p",
        "no:xdist",
        "-p",
        "no:cacheprovider",
        "--config-dir",
        str(package / "conf"),
    )
    only = "ascent and (popular or options or states or seed or space)"
    files = ("tests/unlearning/test_every_method.py", "tests/bench/tune/test_tune.py")
    assert passed(ran(ROOT, *quiet, *files, "-k", only, path=(package,))) >= 5


def test_a_name_that_is_taken_is_refused(package: Path) -> None:
    install(package, {"lethe.methods": ["tru = my_methods.ascent:Ascent"]})
    _forget()
    with pytest.raises(InputError, match=r"tru = my_methods\.ascent:Ascent .* unlearning\.tru:TRU has"):
        registry.registry("method")
