"""Bad teacher: it forgets, it keeps what the good one teaches, and its passes hold what they say."""

from __future__ import annotations

import pytest

from tests.unlearning.cells import REGIMES, private_copy, problem, run, same, trained, weights
from tests.unlearning.forgetting import assert_forgets, assert_keeps


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
def test_forgets_and_keeps(regime: str, backbone: str) -> None:
    task = problem(regime, backbone=backbone)
    result, _, _ = run("bad_teacher", backbone, task, learning_rate=0.03)
    before = private_copy(trained(backbone), task)
    assert_forgets(result.model, before, task)
    assert_keeps(result.model, before, task, share=0.6)


def test_a_pass_holds_the_forget_set_and_a_share_of_the_rest() -> None:
    _, tape, task = run("bad_teacher", epochs=2, retain_share=0.5)
    retained, forgotten = task.retain.train.shape[1], task.request.forget.shape[1]
    assert tape.count == 2 * (round(0.5 * retained) + forgotten)
    assert [values.keys() for values in tape.curves] == [{"loss/teaching"}] * 2


def test_no_epochs_are_graph_only() -> None:
    idle, _, _ = run("bad_teacher", epochs=0)
    unlinked, _, _ = run("graph_only")
    assert same(weights(idle.model), weights(unlinked.model))
