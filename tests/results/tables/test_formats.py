"""A measured table as Markdown, LaTeX and CSV, the same bytes every time."""

from __future__ import annotations

import csv
import io
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bench.record.names import TEST_RECALL
from results.__main__ import main as command
from results.formats.latex import document, escaped, to_latex
from results.formats.markdown import to_markdown
from results.names.headlines import GOLD
from results.tables.layout import Scope, layout
from results.tables.measured import MeasuredTable, measure
from results.tables.printed import text_table
from results.tables.text_table import TextTable
from tests.results.tables.table_one import ARGUMENTS


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
    assert "| MGCN | synthetic | user | TRU | **0.3750** ± 0.0100 | +0.0050 (0.3) |" in text
    assert "<ins>0.0500</ins><sup>(†)</sup> ± 0.0000" in text
    assert "(†)" in text[text.index("- ") :], "the sign is explained below"
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
    assert (tru["state"], tru["requests"], tru["seeds"], tru["cells"]) == ("complete", "0", "0 1 2", "3")
    assert (tru["reference"], tru["golds"]) == (GOLD, "5")
    assert float(tru["gap_low"]) < float(tru["gap_to_gold"]) < float(tru["gap_high"])
    assert 0.05 < float(tru["p"]) <= float(tru["p_holm"])


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
    assert r"\textbf{0.3750} $\pm$ 0.0100" in text
    assert r"\underline{0.0500}\textsuperscript{($\dagger$)} $\pm$ 0.0000" in text
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


def test_small_markdown_of_a_single_label_table() -> None:
    text = to_markdown(printed(measure(layout("backbone-reference", Scope(backbones=("mgcn",))), [])))
    assert "| MGCN | missing | 0.0964<sup>a</sup>" in text.replace("<sup>b</sup>", "<sup>a</sup>")
