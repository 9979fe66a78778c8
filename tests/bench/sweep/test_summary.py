"""The printed table of a sweep: what is marked, and that it fits a terminal."""

from __future__ import annotations

from rich.console import Console

from bench.record.names import BREAK_EVEN, FORGET_RECALL, OFFLINE_SECONDS, OVERLAP, SPEEDUP, TEST_RECALL
from bench.sweep.summary import Row, print_rows


def row(method: str, test: float, forget: float, **more: float) -> Row:
    labels = {"dataset": "baby", "backbone": "mgcn", "regime": "user", "method": method, "seed": "0"}
    return Row(labels, "finished", {TEST_RECALL: test, FORGET_RECALL: forget, **more})


def printed(rows: list[Row]) -> list[str]:
    console = Console(width=80, record=True, file=None, quiet=True)
    with console.capture() as capture:
        console.quiet = False
        print_rows(rows, console)
    return capture.get().splitlines()


def line_of(method: str, lines: list[str]) -> list[str]:
    return next(line.split() for line in lines if line.startswith(method))


def test_best_and_second_are_marked_among_methods_only() -> None:
    lines = printed(
        [
            row("original", 0.10, 0.6),
            row("retrain", 0.09, 0.05),
            row("reset", 0.07, 0.02),
            row("tru", 0.08, 0.00),
            row("finetune", 0.06, 0.6),
        ]
    )
    assert line_of("original", lines)[1:4] == ["0.1000", "-", "0.6000"]
    assert line_of("tru", lines)[1:4] == ["0.0800**", "-", "0.0000*"]
    assert line_of("reset", lines)[1:4] == ["0.0700*", "-", "0.0200**"], "forget: closest to gold is best"
    assert line_of("finetune", lines)[1:4] == ["0.0600", "-", "0.6000"]


def test_without_gold_nothing_is_closest_to_it() -> None:
    assert line_of("tru", printed([row("tru", 0.08, 0.0)]))[3] == "0.0000"


def test_a_missing_cell_shows_as_missing() -> None:
    missing = Row(row("tru", 0, 0).labels, "not finished", {})
    assert line_of("tru", printed([missing]))[1:] == ["-", "-", "-", "-", "-", "not", "finished"]


def test_fits_eighty_columns() -> None:
    lines = printed([row("graph_only", 0.1, 0.2, **{OVERLAP: 0.5, SPEEDUP: 12345.6})])
    assert max(map(len, lines)) <= 80
    assert line_of("graph_only", lines)[4:6] == ["0.500**", "12,345.6x**"]


def test_what_was_prepared_is_said_below_the_table_with_when_it_pays_off() -> None:
    lines = printed(
        [
            row("tru", 0.1, 0.2, **{OFFLINE_SECONDS: 0.0, SPEEDUP: 3.0}),
            row("ultrare", 0.1, 0.2, **{OFFLINE_SECONDS: 1234.5, SPEEDUP: 0.5}),
            row("unlearnrec", 0.1, 0.2, **{OFFLINE_SECONDS: 30.0, SPEEDUP: 9.0, BREAK_EVEN: 2.31}),
            row("ssd", 0.1, 0.2, **{OFFLINE_SECONDS: 4.0}),
        ]
    )
    text = "\n".join(lines)
    assert "unlearnrec: 30.0 s before any request, paid off after 2.3 requests" in text
    assert "ultrare: 1,234.5 s before any request, never paid off." in text
    assert "ssd: 4.0 s before any request.\n" in text, "no speed-up: the times are of two machines"
    assert "tru: " not in text
    assert max(map(len, lines)) <= 80
