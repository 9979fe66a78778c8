"""The paper's tables from a store with known content: numbers, marks, what is missing, the same bytes."""

from __future__ import annotations

import csv
import io
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.config.compose import expand
from bench.record.names import FORGET_RECALL, TEST_RECALL
from bench.record.parameters import parameters
from results.__main__ import main as command
from results.formats.latex import document, escaped, to_latex
from results.formats.markdown import to_markdown
from results.names.headlines import GOLD
from results.runs.frame import per_user, runs
from results.runs.settings import compared, expected
from results.tables.layout import SMALL, TABLES, Scope, layout
from results.tables.measured import MeasuredTable, Place, as_list, measure
from results.tables.missing import commands, cover, one_command
from results.tables.ranking import rank
from results.tables.text_table import TextTable, text_table
from tests.bench.cells import ROOT
from tests.results.store import record, store, table_cell

SCOPE = Scope(datasets=("synthetic",), backbones=("mgcn",), seeds=(0, 1, 2))
ARGUMENTS = ["--dataset", "synthetic", "--backbone", "mgcn"]
TEST = {"original": 0.40, "retrain": 0.35, "mmrecun": 0.30, "tru": 0.365}
FORGET = {"original": 0.80, "retrain": 0.10, "mmrecun": 0.13, "tru": 0.05}
STEP = {"original": 0.0, "retrain": 0.01, "mmrecun": 0.02, "tru": 0.01}


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The user regime of Table 1 on three seeds, one cell of which failed; an ablation that is not in it."""
    place = store(f"sqlite:///{tmp_path_factory.mktemp('store')}/mlflow.db")
    for method in TEST:
        for seed in (0, 1, 2):
            metrics = {TEST_RECALL: TEST[method] + STEP[method] * seed, FORGET_RECALL: FORGET[method]}
            failed = "it broke" if (method, seed) == ("mmrecun", 2) else ""
            record(place, table_cell(seed, method), metrics, fail=failed)
    record(place, table_cell(0, "tru", "method.gate=false"), {TEST_RECALL: 0.99, FORGET_RECALL: 0.0})
    return place.uri


@pytest.fixture(scope="module")
def table(uri: str) -> MeasuredTable:
    return rank(measure(layout("tru-table-1", SCOPE), runs(uri, "lethe")), lambda run: per_user(uri, run))[0]


def at(table: MeasuredTable, method: str, title: str, regime: str = "user") -> Place:
    (found,) = [
        place
        for place in table.places
        if (place.entry.method, place.entry.labels["regime"], place.quantity.title) == (method, regime, title)
    ]
    return found


def test_mean_and_deviation_over_seeds(table: MeasuredTable) -> None:
    found = at(table, "tru", "test recall@20").summary
    assert found is not None
    assert (found.count, found.mean, found.deviation) == (3, pytest.approx(0.375), pytest.approx(0.01))


def test_gap_to_gold_in_units_of_its_spread(table: MeasuredTable) -> None:
    gap = at(table, "original", "test recall@20").gap
    assert gap is not None
    assert gap.value == pytest.approx(0.40 - 0.36)
    assert gap.units == pytest.approx(0.04 / ((0.01 + 0.02 + 0.01) / 3))
    assert at(table, GOLD, "test recall@20").gap is None


def test_marks_are_among_methods_and_by_the_goal(table: MeasuredTable) -> None:
    test = {m: at(table, m, "test recall@20").mark for m in TEST}
    forget = {m: at(table, m, "forget recall@20").mark for m in TEST}
    assert test == {"original": "", "retrain": "", "tru": "best", "mmrecun": "second"}
    assert forget == {"original": "", "retrain": "", "mmrecun": "best", "tru": "second"}


def test_significance_is_tested_over_users_and_not_over_two_shared_seeds(table: MeasuredTable) -> None:
    best = at(table, "tru", "test recall@20")
    assert (best.better_users, best.better_seeds) == (True, None)


def test_per_user_values_of_different_orders_are_joined_by_user(uri: str) -> None:
    first, second = [
        per_user(uri, run.run_id) for run in runs(uri, "lethe") if run.labels["method"] == "tru"
    ][:2]
    assert not np.array_equal(first["test/users"], second["test/users"])
    order = [np.argsort(arrays["test/users"]) for arrays in (first, second)]
    difference = second[TEST_RECALL][order[1]] - first[TEST_RECALL][order[0]]
    assert difference == pytest.approx(np.full(len(difference), 0.01), abs=1e-6)


def test_other_options_are_not_mixed_in_but_said(uri: str, table: MeasuredTable) -> None:
    assert len(at(table, "tru", "test recall@20").others) == 1
    ablation = measure(layout("tru-table-4", SCOPE), runs(uri, "lethe"))
    assert at(ablation, "tru_without_gate", "test recall@20").values == {0: 0.99}


def test_what_is_missing_and_what_failed(table: MeasuredTable) -> None:
    assert at(table, "mmrecun", "test recall@20").lacking == (2,)
    assert at(table, "mmrecun", "test recall@20").failed == {2: "RuntimeError: it broke"}
    assert at(table, "tru", "test recall@20", "item").lacking == (0, 1, 2)
    assert at(table, "tru", "retain recall@20").lacking == (0, 1, 2)  # finished, but without the metric


def test_published_values_stand_beside_ours(uri: str) -> None:
    place = store(uri)
    record(place, ["dataset=baby", "method=tru", "audit=standard", "seed=0"], {TEST_RECALL: 0.09})
    found = measure(layout("tru-table-1", Scope(("baby",), ("mgcn",), (0,))), runs(uri, "lethe"))
    own = at(found, "tru", "test recall@20")
    assert own.published is not None
    assert (own.published.value, own.difference) == (0.0944, pytest.approx(-0.0044))
    assert at(found, GOLD, "test recall@20").published is None


def test_a_method_that_is_not_here_is_said_to_be_unavailable() -> None:
    spec = layout("tru-table-1", Scope(("synthetic",), ("nosuch",)))
    found = measure(spec, [])
    assert all("backbone=nosuch is not known" in place.unavailable for place in found.places)


@pytest.mark.parametrize("form", ["markdown", "latex", "csv"])
def test_the_same_runs_give_the_same_bytes(uri: str, form: str, tmp_path: Path) -> None:
    files = [tmp_path / "first", tmp_path / "second"]
    for file in files:
        arguments = ["tru-table-1", *ARGUMENTS, "--uri", uri, "--format", form, "--out", str(file)]
        assert command(arguments) == 0
    assert files[0].read_bytes() == files[1].read_bytes()
    assert len(files[0].read_bytes()) > 500


def test_markdown(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["tru-table-1", *ARGUMENTS, "--uri", uri]) == 0
    text = capsys.readouterr().out
    assert "| MGCN | synthetic | user | TRU | **0.3750**<sup>†</sup> ± 0.0100 | +0.0150 (1.1) |" in text
    assert "| <ins>0.3100</ins> ± 0.0141 [2/3] |" in text
    assert "- failed: RuntimeError: it broke" in text
    assert "missing" in text
    widths = {line.count(" | ") for line in text.splitlines() if line.startswith("| ")}
    assert len(widths) == 1


def test_csv_has_every_place_unrounded(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["tru-table-1", *ARGUMENTS, "--uri", uri, "--format", "csv"]) == 0
    lines = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(lines) == 3 * 4 * 5
    (tru,) = [x for x in lines if (x["regime"], x["method"], x["metric"]) == ("user", "tru", TEST_RECALL)]
    assert float(tru["mean"]) == pytest.approx(0.375)
    assert float(tru["users_p_holm"]) < 0.05
    assert (tru["state"], len(tru["runs"].split())) == ("complete", 3)


def printed(table: MeasuredTable) -> TextTable:
    return text_table(table, [])


def test_latex_has_booktabs_rules_merged_labels_and_a_header_of_two_lines(table: MeasuredTable) -> None:
    text = to_latex(printed(table))
    for part in (
        r"\toprule",
        r"\midrule",
        r"\bottomrule",
        r"\multirow{12}{*}{MGCN}",
        r"\multirow{4}{*}{user}",
    ):
        assert part in text
    assert r"\multicolumn{2}{c}{test recall@20}" in text
    assert r"\textbf{0.3750}\textsuperscript{$\dagger$} $\pm$ 0.0100" in text
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")]
    columns = len(re.findall(r"[lr]", re.search(r"\\begin{tabular}{(\w+)}", text)[1]))  # type: ignore[index]
    for line in body.splitlines():
        if line.endswith(r"\\"):
            merged = sum(int(width) - 1 for width in re.findall(r"\\multicolumn{(\d+)}", line))
            assert line.count(" & ") + 1 + merged == columns
    assert "_" not in re.sub(r"\\_|%.*|\\label{.*}", "", text)


def test_a_table_that_is_too_long_for_a_page_becomes_several() -> None:
    long = measure(layout("tru-table-1", Scope(seeds=(0,), backbones=("nosuch", "nothing"))), [])
    text = to_latex(printed(long))
    assert text.count(r"\begin{table*}") == text.count(r"\end{table*}") == 2
    assert r"\label{tab:tru-table-1-2}" in text
    assert "part 1 of 2" in text
    assert text.index("No run is in this table") > text.index("part 2 of 2")


def test_latex_specials_are_escaped() -> None:
    assert escaped("a_b & 5 % {x} ±") == r"a\_b \& 5 \% \{x\} $\pm$"


@pytest.mark.parametrize("name", ["tru-table-1", "tru-table-4"])
def test_latex_compiles(uri: str, name: str, tmp_path: Path) -> None:
    program = next((p for p in ("tectonic", "pdflatex") if shutil.which(p)), None)
    if program is None:
        pytest.skip("neither tectonic nor pdflatex is installed; the structure is tested above")
    assert command([name, "--uri", uri, *ARGUMENTS, "--format", "latex", "--out", str(tmp_path / "t")]) == 0
    (tmp_path / "t.tex").write_text(document((tmp_path / "t").read_text()))
    flags = ["-interaction=nonstopmode", "-halt-on-error"] if program == "pdflatex" else []
    done = subprocess.run(
        [program, *flags, "t.tex"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    if "not found" in done.stdout and ".sty" in done.stdout:
        pytest.skip("a LaTeX package is missing: booktabs, multirow, graphicx and geometry are needed")
    assert done.returncode == 0, done.stdout[-2000:]
    assert (tmp_path / "t.pdf").stat().st_size > 1000


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


def test_explain(uri: str, capsys: pytest.CaptureFixture[str]) -> None:
    place = ["tru-table-1", "mgcn/synthetic/user/tru", "test recall@20", *ARGUMENTS, "--uri", uri]
    assert command(["explain", *place]) == 0
    text = capsys.readouterr().out
    for part in (
        "measured: 0.375000",
        "seed 2: 0.385000",
        "device test device",
        "code 0000",
        "method.gate=True",
    ):
        assert part in text
    assert command(["explain", "tru-table-1", "mgcn/baby/user/tru", "forget/recall_at_20", "--uri", uri]) == 0
    text = capsys.readouterr().out
    assert "published: 0.0000" in text
    assert "arXiv:2604.02183 v1, Table 1" in text
    assert "note B2.1" in text


@pytest.mark.parametrize(
    ("row", "column", "complaint"),
    [("mgcn/nosuch/user/tru", "x", "row=mgcn/nosuch"), ("mgcn/baby/user/tru", "nosuch", "column=nosuch")],
)
def test_explain_names_what_it_does_not_find(
    row: str, column: str, complaint: str, uri: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["explain", "tru-table-1", row, column, "--uri", uri]) == 2
    assert complaint in capsys.readouterr().err


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


def test_small_markdown_of_a_single_label_table() -> None:
    text = to_markdown(printed(measure(layout("backbone-reference", Scope(backbones=("mgcn",))), [])))
    assert "| MGCN | missing | 0.0964<sup>a</sup>" in text.replace("<sup>b</sup>", "<sup>a</sup>")
