"""What fills a table: the fewest commands, and the experiments that run everything."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from bench.config.compose import expand
from bench.record.local.parameters import parameters
from results.__main__ import main as command
from results.runs.settings import compared, expected
from results.tables.layout import SMALL, TABLES, Scope, layout
from results.tables.measured import as_list
from results.tables.missing import commands, cover, one_command
from tests.bench.cells import ROOT
from tests.results.tables.table_one import ARGUMENTS


def test_cover_is_exact_and_merges() -> None:
    cells = [{"a": a, "b": b} for a in "12" for b in "xyz"] + [{"a": "3", "b": "x"}, {"a": "1", "c": "q"}]
    products = cover(cells)
    expanded = [
        {"a": a, "b": b} for product in products if "b" in product for a in product["a"] for b in product["b"]
    ]
    assert sorted(map(str, expanded)) == sorted(str(cell) for cell in cells if "b" in cell)
    assert len(products) == 3


def test_commands_of_one_cell_and_of_a_sweep() -> None:
    cell = {"dataset": "baby", "method": "tru", "audit": "none", "seed": "0"}
    assert commands([cell]) == ["python -m bench dataset=baby method=tru audit=none seed=0"]
    assert commands([cell, {**cell, "seed": "1"}], ["tracking.uri=u"]) == [
        "python -m bench -m dataset=baby method=tru audit=none seed=0,1 tracking.uri=u"
    ]


def test_the_one_command_runs_exactly_what_is_missing() -> None:
    cells = [
        {"dataset": "synthetic_tiny", "method": "tru", "seed": "0"},
        {"dataset": "synthetic_tiny", "method": "tru", "method.gate": "false", "seed": "1"},
        {"dataset": "synthetic_tiny", "method": "original", "seed": "0"},
    ]
    words = shlex.split(one_command(cells))
    assert words[:4] == ["python", "-m", "bench", "-m"]
    found = [
        (c.method.name, getattr(c.method.options, "gate", None), c.seed) for c in expand(words[4:], True)
    ]
    assert sorted(found, key=str) == [("original", None, 0), ("tru", False, 1), ("tru", True, 0)]


def test_missing_on_the_command_line(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    scope = [*ARGUMENTS, "--seed", "0", "--uri", uri]
    assert command(["tru-table-1", *scope, "--missing"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("python -m bench -m dataset=synthetic backbone=mgcn regime=")
    assert f"tracking.uri={uri}" in text


def cells_of(names: list[str], scope: Scope) -> set[str]:
    """What the tables need, as text that tells different cells apart."""
    specs = [layout(name, scope) for name in names]
    lists = {
        tuple(as_list(spec.overrides_of(entry, quantity)))
        for spec in specs
        for entry in spec.entries
        for quantity in spec.quantities
    }
    found = set()
    for overrides, (labels, params) in zip(lists, expected(list(lists)), strict=True):
        audit = next(text for text in overrides if text.startswith("audit="))
        about = (sorted(labels.items()), sorted(params.items()), audit)
        found |= {str((*about, seed)) for spec in specs for seed in spec.seeds}
    return found


@pytest.mark.parametrize(
    ("experiment", "scope"), [("tru_tables", Scope(seeds=(0,))), ("tru_tables_small", SMALL)]
)
def test_the_experiment_is_exactly_what_the_tables_need(experiment: str, scope: Scope) -> None:
    found = []
    for config in expand([f"experiment={experiment}", "seed=0"], False):
        labels = {
            "dataset": config.data_name,
            "backbone": config.backbone.name,
            "regime": config.regime.name,
            "method": config.method.name,
        }
        params = sorted(compared(parameters(config)).items())
        found.append(str((sorted(labels.items()), params, f"audit={config.audit.name}", config.seed)))
    assert len(found) == len(set(found))
    assert set(found) == cells_of([name for name in TABLES if name.startswith("tru-")], scope)


def test_a_key_on_the_command_line_replaces_what_an_experiment_sweeps() -> None:
    found = expand(["experiment=tru_tables_small", "seed=7", "backbone=mgcn", "regime=item"], False)
    assert {(c.seed, c.backbone.name, c.regime.name) for c in found if c.poison.name == "none"} == {
        (7, "mgcn", "item")
    }
    assert [c.method.name for c in expand(["experiment=demo", "method=tru"], False)] == ["tru"]


def test_every_table_is_made_of_nothing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in TABLES:
        scope = ["--small"] if name != "backbone-reference" else ["--backbone", "mgcn"]
        assert command([name, "--uri", f"sqlite:///{tmp_path}/none.db", *scope]) == 0
        text = capsys.readouterr().out
        assert "No run is in this table." in text
        assert "python -m bench" in text


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom results.__main__ import parser\nparser()\n"
        "heavy = {'torch', 'mlflow', 'pandas', 'scipy', 'matplotlib', 'hydra'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
