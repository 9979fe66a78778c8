"""Which code counts for which part of a cell: an edit reaches exactly the keys of what it computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bench.config import source
from bench.config.compose import expand
from bench.planning.code import code_of, code_today, stage_digest
from bench.planning.keys import cell_keys

(CONFIG,) = expand(["audit=full", "repair=short", "method=reset", "backbone=lightgcn"], False)
AUDITS = {part for part in code_of(CONFIG) if part.startswith("audit.")}
Edit = Callable[[str, str], None]


def forget() -> None:
    source.code_digest.cache_clear()
    stage_digest.cache_clear()


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edit]:
    """Appends a line to the source of a module, as the digests see it."""
    real = source._source_file
    copies: dict[str, Path] = {}
    monkeypatch.setattr(source, "_source_file", lambda module: copies.get(module) or real(module))

    def append(module: str, line: str) -> None:
        copies[module] = tmp_path / f"{module}.py"
        copies[module].write_text(real(module).read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
        forget()

    forget()
    yield append
    forget()


@pytest.mark.parametrize(
    ("module", "reached"),
    [
        ("bench.train.loop", {"train", "audit.relearn"}),
        ("bench.train.options", {"train", *AUDITS}),
        ("bench.measure.evaluate", {"train", "measure", *AUDITS}),
        ("bench.measure.yardstick", {"measure"}),
        ("bench.cell.pipeline", {"measure"}),
        ("bench.cell.unlearn", {"unlearn"}),
        ("bench.cell.setting", {"train"}),
        ("bench.cell.repair", {"repair"}),
        ("bench.audits.membership.score", {"audit.membership_score", "audit.onion"}),
        ("bench.audits.memory.relearn", {"audit.relearn"}),
        ("bench.audits.base", AUDITS),
        ("unlearning.reset", {"method"}),
        ("models.lightgcn", {"backbone"}),
        ("bench.record.store", set()),
        ("bench.sweep.sweep", set()),
        ("bench.planning.planner", set()),
    ],
)
def test_an_edit_reaches_the_parts_that_it_computes(module: str, reached: set[str], edit: Edit) -> None:
    before = code_of(CONFIG)
    edit(module, "EDITED = 1")
    after = code_of(CONFIG)
    assert {part for part in before if before[part] != after[part]} == reached


def test_an_edit_of_the_harness_makes_cells_due_again_and_a_comment_does_not(edit: Edit) -> None:
    before = cell_keys(CONFIG, "data", "", "cpu")
    edit("bench.measure.yardstick", "# in other words")
    assert cell_keys(CONFIG, "data", "", "cpu") == before
    edit("bench.measure.yardstick", "EDITED = 1")
    measured = cell_keys(CONFIG, "data", "", "cpu")
    assert (measured.original, measured.gold) == (before.original, before.gold)
    assert measured.cell != before.cell
    edit("bench.train.objective", "EDITED = 1")
    trained = cell_keys(CONFIG, "data", "", "cpu")
    assert trained.original != before.original
    assert trained.request == before.request


def test_the_repair_stage_counts_only_where_it_runs() -> None:
    (config,) = expand(["method=reset"], False)
    assert "repair" not in code_of(config)
    assert "repair" in code_of(CONFIG)


def test_what_a_run_made_now_would_have() -> None:
    labels = {"method": "reset", "backbone": "lightgcn"}
    assert {part: code_today(part, labels) for part in code_of(CONFIG)} == code_of(CONFIG)
    assert code_today("method", {"method": "nosuch"}) is None
    assert code_today("audit.nosuch", labels) is None
