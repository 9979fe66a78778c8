"""The printed table of a sweep: what is marked, and that it fits a terminal."""

from __future__ import annotations

from rich.console import Console

from bench.record.names import (
    BREAK_EVEN,
    CONTENDED,
    FORGET_RECALL,
    MIA_BALANCED_ACCURACY,
    OFFLINE_SECONDS,
    PROPAGATIONS,
    SPEEDUP,
    STEPS,
    TEST_RECALL,
)
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
    assert line_of("tru", printed([missing]))[1:] == ["-", "-", "-", "-", "not", "finished"]


def test_fits_eighty_columns() -> None:
    more = {MIA_BALANCED_ACCURACY: 0.5, STEPS: 12345.0, PROPAGATIONS: 4.5e6}
    others = [row("original", 0.1, 0.6), row("retrain", 0.1, 0.1)]
    lines = printed([*others, row("bad_teacher", 0.1, 0.2, **{SPEEDUP: 12345.6, **more})])
    assert max(map(len, lines)) <= 80
    assert line_of("bad_teacher", lines)[4:] == ["0.500", "12,346x**", "12.3k", "4.5M", "finished"]


def test_work_without_a_device_stands_beside_a_speed_up() -> None:
    lines = printed([row("tru", 0.1, 0.2, **{SPEEDUP: 3.0, STEPS: 930.0, PROPAGATIONS: 0.0})])
    assert line_of("tru", lines)[4:7] == ["3.0x", "930", "0"]
    assert not any("steps" in line for line in printed([row("tru", 0.1, 0.2)]))


def test_a_speed_up_of_shared_processors_has_a_sign_and_no_mark() -> None:
    lines = printed(
        [
            row("original", 0.1, 0.6),
            row("retrain", 0.1, 0.1),
            row("tru", 0.1, 0.2, **{SPEEDUP: 9.0, CONTENDED: 1.0}),
            row("mmrecun", 0.1, 0.2, **{SPEEDUP: 3.0, CONTENDED: 0.0}),
        ]
    )
    assert [line_of(method, lines)[4] for method in ("tru", "mmrecun")] == ["~9.0x", "3.0x**"]
    assert any(line.startswith("~ the processors were shared") for line in lines)


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


def test_what_takes_several_seeds_is_not_shown_for_one() -> None:
    assert not any("overlap" in line for line in printed([row("tru", 0.1, 0.2)]))


def test_speed_is_marked_only_for_methods_that_forget_and_not_for_controls() -> None:
    lines = printed(
        [
            row("original", 0.1, 0.6),
            row("retrain", 0.1, 0.1, **{SPEEDUP: 1.0}),
            row("reset", 0.1, 0.0, **{SPEEDUP: 900.0}),
            row("finetune", 0.1, 0.5, **{SPEEDUP: 90.0}),
            row("tru", 0.1, 0.2, **{SPEEDUP: 9.0}),
            row("mmrecun", 0.1, 0.0, **{SPEEDUP: 8.0}),
        ]
    )
    assert [line_of(method, lines)[4] for method in ("reset", "finetune", "tru", "mmrecun")] == [
        "900.0x",
        "90.0x",
        "9.0x**",
        "8.0x*",
    ]


def test_a_missing_speed_up_has_its_reason() -> None:
    seconds = "time/unlearn_seconds"
    found = [row("original", 0.1, 0.6, **{seconds: 0.0}), row("tru", 0.1, 0.2, **{seconds: 3.0})]
    text = " ".join(" ".join(printed(found)).split())
    assert "No speed-up of original: nothing is unlearned." in text
    assert "No speed-up of tru: gold was trained on another device" in text


def test_requests_are_compared_each_for_itself() -> None:
    first, second = row("tru", 0.1, 0.2), row("mmrecun", 0.2, 0.2)
    second.labels["request"] = "1"
    lines = printed([first, second])
    assert sum("request=1" in line for line in lines) == 1
    assert line_of("mmrecun", lines)[1] == "0.2000**"
    assert (first.label, second.label) == (
        "baby/mgcn/user/tru/0",
        "baby/mgcn/user/mmrecun/0/request 1",
    )


def test_swept_options_tell_rows_apart_beside_the_method_or_below() -> None:
    short, long = ("epochs=1", "epochs=2"), ("repair_batches=3 lambda_fusion=0.001", "repair_batches=5")

    def swept(options: tuple[str, str]) -> list[str]:
        rows = [row("tru", 0.08, 0.0), row("tru", 0.07, 0.0)]
        both = zip(rows, options, strict=True)
        return printed([Row({**one.labels, "options": text}, one.state, one.metrics) for one, text in both])

    assert [line.split()[:2] for line in swept(short) if line.startswith("tru")] == [
        ["tru", "epochs=1"],
        ["tru", "epochs=2"],
    ]
    below = swept(long)
    assert [line.split()[:2] for line in below if line.startswith("tru")] == [["tru", "[1]"], ["tru", "[2]"]]
    assert "[1] repair_batches=3 lambda_fusion=0.001" in below
    assert "[2] repair_batches=5" in below
    assert max(map(len, below)) <= 80


def test_a_gold_that_was_trained_otherwise_is_named_once_per_setting() -> None:
    like = {"train/original_best_epoch": 40.0, "train/gold_best_epoch": 50.0}
    recalls = {"train/original_valid_recall_at_20": 0.60, "train/gold_valid_recall_at_20": 0.59}
    early = {**like, "train/gold_best_epoch": 11.0}
    poor = {**recalls, "train/gold_valid_recall_at_20": 0.53}

    def named(metrics: dict[str, float]) -> list[str]:
        rows = [row(method, 0.08, 0.0, **metrics) for method in ("tru", "reset")]
        return [line for line in printed(rows) if line.startswith("Gold may be poor")]

    assert named({**like, **recalls}) == []
    assert named(like) == [], "an older run did not record it"
    assert len(named({**early, **recalls})) == len(named({**like, **poor})) == 1
    assert named({**early, **recalls})[0].startswith("Gold may be poor on baby/mgcn/user/seed 0: gold's best")
