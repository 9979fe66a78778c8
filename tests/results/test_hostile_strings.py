"""Hostile names and options in every renderer: they neither end a cell nor start a tag, a link or a
command.
"""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from results.formats.latex import to_latex
from results.formats.markdown import cell, code, line, span, to_markdown
from results.formats.written import to_short_csv
from results.mlflow_ui.descriptions import _about, _board, sweep_note
from results.site.page import embedded
from results.tables.text_table import Text, TextTable

HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "a | b | c",
    "```\n# title",
    "`code`",
    "[link](javascript:alert(1))",
    "\\end{tabular}\\input{/etc/passwd}",
    "50 % & more $x^2$ #1 {x}_y~",
    "line\nbreak\r\nand\u2028more",
    "</script><!-- --> <!DOCTYPE x>",
)
TAG = re.compile(r"<(?!(?:br|ins|/ins|sup|/sup)>)[A-Za-z/!?]")


def table(text: str) -> TextTable:
    """A table with the text wherever a text can stand."""
    places = (Text(text, "best", "", text), Text("0.5", "second", "a"))
    rows = (((text, "default"), places), (("b", "c"), places))
    header = ((text, text), ("recall", ""))
    return TextTable("leaderboard", text, ("data set", text), header, rows, (text,), (text,))


@pytest.mark.parametrize("text", HOSTILE)
def test_markdown(text: str) -> None:
    written = to_markdown(table(text))
    before, _, block = written.partition("```\n")
    assert not TAG.search(before)
    assert block.rstrip().endswith("```")
    assert block.count("```") == 1, "a command cannot end its block"
    rows = [one for one in before.splitlines() if one.startswith("| ")]
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)\|", one)) for one in rows} == {5}
    assert not re.search(r"(?<!\\)(`|\]\()", "".join(rows)), "no code and no link"


@pytest.mark.parametrize("text", HOSTILE)
def test_latex(text: str) -> None:
    own = [one for one in to_latex(table(text)).splitlines() if not one.startswith("%")]
    assert "input{" not in "".join(own).replace(r"input\{", "")
    assert sum(one.count(r"\end{tabular}") for one in own) == 1
    rows = [one for one in own if one.endswith(r" \\")]
    assert {len(re.findall(r"(?<!\\)&", one)) for one in rows[2:]} == {3}
    assert not any(re.search(r"(?<!\\)[%#]", one) for one in rows)


@pytest.mark.parametrize("text", HOSTILE)
def test_csv(text: str) -> None:
    rows = list(csv.reader(io.StringIO(to_short_csv(table(text)), newline="")))
    assert {len(row) for row in rows} == {4}
    assert rows[1][0] == text


@pytest.mark.parametrize("text", HOSTILE)
def test_the_page(text: str) -> None:
    written = embedded({text: [text]})
    assert not re.search("[<>&]", written)
    assert json.loads(written) == {text: [text]}


@pytest.mark.parametrize("text", HOSTILE)
def test_descriptions_in_mlflow(text: str) -> None:
    labels = {"method": text, "dataset": text, "backbone": text, "regime": text, "seed": "0"}
    about = _about(labels, text, 1)
    outside = re.sub(r"(?<!\\)`[^`]*`", "", about)
    assert not TAG.search(outside)
    assert "\n" not in about
    assert not re.search(r"(?<!\\)[`\[|]", outside)
    board = "\n".join(_board(table(text))[:-1]).replace("&nbsp;", "")
    assert not TAG.search(board)
    note = sweep_note(["2 cells"], text, None, [text], "#")
    assert note.count("```") == 2
    assert not TAG.search(re.sub(r"```.*?```", "", note, flags=re.DOTALL))


def test_plain_texts_stay_as_they_are() -> None:
    for text in ("graph_only", "0.1234 ± 0.0100", "p < 0.05", "a > b & c", "mgcn+x", "100 %"):
        assert cell(text) == line(text) == code(text) == span(text) == text
