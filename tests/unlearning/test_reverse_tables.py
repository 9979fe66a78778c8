"""Reverse BPR on tables: which modules are tables, which of them moves, and that nothing else does."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from datasets.errors import InputError
from models.base import Recommender
from tests.unlearning.cells import (
    FORMS,
    REGIMES,
    changed,
    forget_recall,
    private_copy,
    problem,
    run,
    trained,
    weights,
)
from tests.unlearning.content_only import ContentOnly
from unlearning.reverse_tables import ReverseTables, ReverseTablesOptions, tables

ALONE = {"alpha": 1.0, "epochs": 1}
"""One reverse phase and no repair."""


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        ("lightgcn", {"user_embedding", "item_embedding"}),
        (
            "mgcn",
            {"user_embedding", "item_embedding", "feature_tables.image", "feature_tables.text"},
        ),
        ("mig_gt", {"user_embedding"}),
    ],
)
def test_a_table_has_a_row_per_user_or_item(backbone: str, expected: set[str]) -> None:
    assert {table.name for table in tables(trained(backbone))} == expected


@pytest.mark.parametrize("count", [1, 2, 9])
def test_only_the_most_sensitive_tables_move(count: int) -> None:
    result, tape, task = run("reverse_tables", "mgcn", tables=count, **ALONE)
    (values,) = tape.curves
    e = {k.removeprefix("sensitivity/"): v for k, v in values.items() if k.startswith("sensitivity/")}
    wanted = set(sorted(e, key=lambda name: -e[name])[:count])
    moved = set(changed(weights(private_copy(trained("mgcn"), task)), weights(result.model)))
    assert moved == wanted
    assert {name for name in e if values[f"selected/{name}"]} == wanted


def test_with_one_table_in_the_user_regime_it_is_the_users() -> None:
    _, tape, _ = run("reverse_tables", "mgcn", **ALONE)
    assert tape.curves[0]["selected/user_embedding"] == 1.0


def test_everything_is_counted() -> None:
    _, tape, task = run("reverse_tables", epochs=3, repair_batches=2, statistics_batches=1)
    forget = task.request.forget.shape[1]
    assert forget < task.batch_size
    assert tape.count == forget + 3 * (forget + forget + 2 * task.batch_size)


def test_notes_say_which_reading_ran() -> None:
    result, _, _ = run("reverse_tables", epochs=1)
    assert result.notes["reading"] == "form swap, reversed ranking, repair 2 batches"


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("form", FORMS)
def test_forgets(regime: str, form: str) -> None:
    task = problem(regime)
    result, _, _ = run("reverse_tables", "mgcn", task, **FORMS[form])
    unlinked, _, _ = run("graph_only", "mgcn", problem(regime))
    assert forget_recall(result.model, task) < forget_recall(unlinked.model, task)


class WithoutTables(ContentOnly):
    """Its users have no rows of their own."""

    def modules_by_branch(self) -> dict[str, dict[str, list[nn.Parameter]]]:
        return {"image": super().modules_by_branch()["image"]}


def test_a_backbone_without_tables_is_refused() -> None:
    torch.manual_seed(0)
    model: Recommender = WithoutTables(problem().full)
    with pytest.raises(InputError, match="WithoutTables has none: choose method=mmrecun"):
        ReverseTables(ReverseTablesOptions()).check(model)
