"""MMRecUn: it forgets, its schedules differ, and its cost is counted."""

from __future__ import annotations

import pytest

from datasets.errors import InputError
from tests.unlearning.cells import FORMS, REGIMES, forget_recall, problem, run, same, trained, weights
from unlearning.mmrecun import MMRecUn, MMRecUnOptions


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
@pytest.mark.parametrize("form", FORMS)
def test_forgets(regime: str, backbone: str, form: str) -> None:
    task = problem(regime)
    result, _, _ = run("mmrecun", backbone, task, **FORMS[form])
    unlinked, _, _ = run("graph_only", backbone, problem(regime))
    assert forget_recall(result.model, task) < forget_recall(unlinked.model, task)


def test_counts_every_example_of_both_phases() -> None:
    _, tape, task = run("mmrecun", epochs=3, repair_batches=2)
    forget = task.request.forget.shape[1]
    assert forget < task.batch_size
    assert tape.count == forget + 3 * (forget + 2 * task.batch_size), "the probe of the rate, then the epochs"
    assert len(tape.curves) == 3
    assert all(values.keys() == {"loss/reverse", "loss/repair"} for values in tape.curves)


def test_adam_in_the_reverse_phase_is_another_method() -> None:
    sgd, _, _ = run("mmrecun")
    adam, _, _ = run("mmrecun", optimiser="adam")
    assert not same(weights(sgd.model), weights(adam.model))


def test_notes_say_which_reading_ran() -> None:
    plain, _, _ = run("mmrecun", epochs=1)
    assert plain.notes == {
        "reading": "form swap, reversed ranking, schedule alternate, optimiser sgd, repair 2 batches"
    }
    other, _, _ = run("mmrecun", epochs=1, form="ascent", schedule="mixed", optimiser="adam")
    assert other.notes["reading"].startswith("form ascent, reversed ranking, schedule mixed, optimiser adam")


def test_mixed_takes_one_step_per_retain_batch_and_counts_both() -> None:
    _, tape, task = run("mmrecun", schedule="mixed", epochs=2, repair_batches=3)
    assert [set(values) for values in tape.curves] == [{"loss/mixed"}] * 2
    assert tape.count == 2 * 3 * (task.batch_size + task.request.forget.shape[1])


def test_mixed_weighs_both_terms() -> None:
    def loss(alpha: float) -> float:
        _, tape, _ = run("mmrecun", schedule="mixed", alpha=alpha, epochs=1, repair_batches=1)
        return tape.curves[0]["loss/mixed"]

    # The same batches, before any step: linear in alpha between repair (near 0) and reverse.
    assert loss(0.25) + loss(0.75) == pytest.approx(2 * loss(0.5), rel=1e-5)
    assert loss(0.75) > 2 * loss(0.25)


def test_mixed_forgets_with_enough_steps() -> None:
    task = problem("interaction")
    result, _, _ = run("mmrecun", task=task, schedule="mixed", alpha=0.9, epochs=20, repair_batches=None)
    unlinked, _, _ = run("graph_only", task=task)
    assert forget_recall(result.model, task) < forget_recall(unlinked.model, task)


def test_mixed_at_alpha_zero_is_fine_tuning() -> None:
    mixed, _, _ = run("mmrecun", schedule="mixed", alpha=0.0, epochs=2, repair_batches=None)
    tuned, _, _ = run("finetune", epochs=2)
    assert same(weights(mixed.model), weights(tuned.model))


def test_a_margin_without_swap_is_refused() -> None:
    method = MMRecUn(MMRecUnOptions(form="ascent", margin=1.0))
    with pytest.raises(InputError, match=r"method\.margin=1 has no meaning .* method\.form=swap"):
        method.check(trained("lightgcn"))
