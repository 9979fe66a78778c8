"""SCRUB: its passes, their order, and the model without any."""

from __future__ import annotations

import pytest

from tests.unlearning.cells import REGIMES, private_copy, problem, run, same, trained, weights
from tests.unlearning.forgetting import assert_forgets, assert_keeps

LONGER = {"epochs": 6, "max_epochs": 5, "forget_batch_size": 4, "learning_rate": 0.02}


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
def test_forgets_and_keeps(regime: str, backbone: str) -> None:
    task = problem(regime, backbone=backbone)
    result, _, _ = run("scrub", backbone, task, **LONGER)
    before = private_copy(trained(backbone), task)
    assert_forgets(result.model, before, task)
    assert_keeps(result.model, before, task, share=0.6)


def test_without_passes_it_is_graph_only() -> None:
    idle, tape, _ = run("scrub", epochs=0, max_epochs=0)
    unlinked, _, _ = run("graph_only")
    assert same(weights(idle.model), weights(unlinked.model))
    assert tape.curves == []


def test_max_passes_come_first_in_their_epochs_and_min_passes_last() -> None:
    _, tape, task = run("scrub", epochs=3, max_epochs=2, retain_batches=1)
    names = [name for values in tape.curves for name in values]
    assert names == ["loss/max", "loss/min", "loss/max", "loss/min", "loss/min"]
    assert tape.count == 2 * task.request.forget.shape[1] + 3 * task.batch_size


def test_the_first_max_batch_has_nothing_to_climb() -> None:
    # Student and teacher agree at first: only rounding (or dropout) leads away from there.
    _, tape, _ = run("scrub", epochs=0, max_epochs=1)
    assert tape.curves[0]["loss/max"] == pytest.approx(0, abs=1e-5)


def test_later_max_passes_move_away_from_the_teacher() -> None:
    _, tape, _ = run("scrub", **LONGER)
    losses = [values["loss/max"] for values in tape.curves if "loss/max" in values]
    assert losses[-1] < 10 * losses[1] < 0


def test_the_divergence_in_the_min_pass_holds_the_student_back() -> None:
    def distance(alpha: float) -> float:
        result, _, _ = run("scrub", epochs=5, max_epochs=0, alpha=alpha)
        before, after = weights(trained("lightgcn")), weights(result.model)
        return float(sum((after[name] - before[name]).square().sum() for name in before))

    assert distance(100.0) < distance(0.0)
