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

PAGE = ROOT / "docs" / "add-a-method.md"
REGISTRY = "unlearning/__init__.py"


def files_of_the_page() -> dict[str, str]:
    """Text by the file that the first comment of a block names."""
    blocks = [text for language in ("python", "yaml", "toml") for text in code_blocks(PAGE, language)]
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


BACKBONE = '''"""A backbone of somebody else: popularity and nothing more."""

from dataclasses import dataclass

import torch

from models.base import LossTerms, Recommender


@dataclass(frozen=True)
class PopularOptions:
    """One constant."""

    scale: float = 1.0


class Popular(Recommender):
    """Scores every item by a trained number."""

    Options = PopularOptions

    def __init__(self, data, options):
        super().__init__(data, options)
        self.ones = torch.nn.Parameter(torch.ones(data.num_users, 1))
        self.items = torch.nn.Parameter(torch.rand(data.num_items, 1))
        self.bind(data)

    def bind(self, data):
        """Nothing is derived."""

    def embeddings(self):
        return self.ones, self.items * self.options.scale

    def loss(self, batch):
        gap = (self.items[batch.positives] - self.items[batch.negatives]) * self.ones[batch.users]
        ranking = torch.nn.functional.softplus(-gap).mean()
        return LossTerms(ranking=ranking, regulariser=0.0 * ranking)

    def id_tables(self):
        return {"user": self.ones, "item": self.items}

    def modules_by_branch(self):
        return {"id": {"ones": [self.ones], "items": [self.items]}}
'''
AUDIT = '''"""An audit of somebody else."""

from bench.audits.base import Audit


class Norm(Audit):
    """How large the weights are."""

    name = "norm"

    def figures(self, model):
        return {"weights": float(sum(p.abs().sum() for p in model.parameters()))}
'''
READER = '''"""A reader of somebody else: everybody likes three items in a row."""

from dataclasses import dataclass

import numpy as np

from datasets.interactions import RawDataset
from datasets.reader import DatasetReader


@dataclass(frozen=True)
class RingOptions:
    """Its size."""

    size: int = 30


class Ring(DatasetReader):
    Options = RingOptions

    def identity(self):
        return {"size": self.options.size}

    def modalities(self):
        return ()

    def read(self):
        users = np.arange(self.options.size, dtype=np.int64)
        pairs = [np.stack([users, (users + step) % len(users)]) for step in range(5)]
        train = np.concatenate(pairs[:3], axis=1)
        return RawDataset(len(users), len(users), train, pairs[3], pairs[4])
'''
GROUPS = {
    "lethe.backbones": "popular = my_methods.popular:Popular",
    "lethe.audits": "norm = my_methods.norm:Norm",
    "lethe.readers": "ring = my_methods.ring:Ring",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package of the page with a backbone, an audit and a reader, as an installer would leave it."""
    files = files_of_the_page()
    code = tmp_path / "my_methods"
    code.mkdir()
    (code / "__init__.py").touch()
    (code / "ascent.py").write_text(files["unlearning/ascent.py"], encoding="utf-8")
    for name, text in {"popular": BACKBONE, "norm": AUDIT, "ring": READER}.items():
        (code / f"{name}.py").write_text(text, encoding="utf-8")
    yamls = {name: text for name, text in files.items() if name.startswith("conf/")}
    yamls["conf/backbone/popular.yaml"] = "name: popular\nscale: 1.0\n"
    yamls["conf/dataset/ring.yaml"] = "name: ring\nreader: ring\nsize: 30\n"
    for name, text in yamls.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    project = tomllib.loads(files["pyproject.toml"])["project"]
    entries = {
        group: [f"{k} = {v}" for k, v in own.items()] for group, own in project["entry-points"].items()
    }
    install(tmp_path, {**entries, **{group: [line] for group, line in GROUPS.items()}})
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


def test_a_package_brings_method_backbone_audit_and_reader(
    package: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chosen = ["dataset=ring", "backbone=popular", "method=ascent", "audit.audits=[norm]", "regime.count=2"]
    shared = [word for word in TINY if not word.startswith("dataset")]
    assert main([*shared, "--config-dir", "conf", *chosen, "method.step=0.5"]) == 0
    assert "ascent" in capsys.readouterr().out
    store = Store(TrackingConfig(uri=f"sqlite:///{package}/mlflow.db"))
    (run,) = store.runs("tags.`lethe.kind` = 'cell'")
    assert {"audit/norm/weights", "audit/norm/gold_weights"} <= run.data.metrics.keys()
    assert run.data.params["method.step"] == "0.5"


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
