"""MultiDelete: each term against its equation, the pull of each, and the refusal."""

from __future__ import annotations

import pytest
import torch

from datasets.errors import InputError
from datasets.sampling import Batch
from tests.unlearning.cells import (
    REGIMES,
    forget_recall,
    private_copy,
    problem,
    run,
    same,
    trained,
    weights,
)
from unlearning.multidelete import MultiDelete, MultiDeleteOptions, joint, losses, represent
from unlearning.streams import item_streams

FORGOTTEN = Batch(torch.tensor([0, 1]), torch.tensor([2, 3]), torch.tensor([7, 8]))
RETAINED = Batch(torch.tensor([9, 4]), torch.tensor([5, 6]), torch.tensor([0, 1]))


def test_at_the_start_only_decoupling_has_a_value() -> None:
    model = private_copy(trained("mgcn"), problem()).eval()
    own = represent(model)
    dec, mkr, ukr = losses(own, own, FORGOTTEN, RETAINED, "concat")
    gap = own.items[FORGOTTEN.positives] - own.items[FORGOTTEN.negatives]
    assert torch.allclose(dec, gap.square().sum() / (2 * 2 * gap.shape[1]))
    assert not mkr.any()
    assert not ukr.any()


@pytest.mark.parametrize("readout", ["concat", "product", "score"])
def test_the_terms_equal_their_equations(readout: str) -> None:
    student = represent(private_copy(trained("mgcn"), problem()).eval())
    teacher = represent(private_copy(trained("mgcn"), problem("item")).eval())
    dec, mkr, ukr = losses(student, teacher, FORGOTTEN, RETAINED, readout)  # type: ignore[arg-type]

    def r(model: object, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        return joint(model, users, items, readout)  # type: ignore[arg-type]

    decoupled = r(student, FORGOTTEN.users, FORGOTTEN.positives)
    decoupled = decoupled - r(teacher, FORGOTTEN.users, FORGOTTEN.negatives)
    assert torch.allclose(dec, decoupled.square().mean())
    kept = r(student, RETAINED.users, RETAINED.positives) - r(teacher, RETAINED.users, RETAINED.positives)
    assert torch.allclose(mkr, kept.square().mean())
    ids = FORGOTTEN.positives
    single = [(student.streams[m][ids] - teacher.streams[m][ids]).square().mean() for m in ("image", "text")]
    assert torch.allclose(ukr, (single[0] + single[1]) / 2)


def test_readouts() -> None:
    own = represent(private_copy(trained("mgcn"), problem()).eval())
    p, q = own.users[:2], own.items[3:5]
    pair = torch.arange(2), torch.arange(3, 5)
    assert torch.equal(joint(own, *pair, "concat"), torch.cat([p, q], dim=1))
    assert torch.equal(joint(own, *pair, "product"), p * q)
    assert torch.allclose(joint(own, *pair, "score"), (p @ q.t()).diagonal())


@pytest.mark.parametrize("regime", REGIMES)
@pytest.mark.parametrize("backbone", ["mgcn", "vbpr"])
def test_decoupling_scores_forgets(backbone: str, regime: str) -> None:
    task = problem(regime, backbone=backbone)
    result, _, _ = run("multidelete", backbone, task, readout="score", epochs=60)
    unlinked, _, _ = run("graph_only", backbone, problem(regime))
    assert forget_recall(result.model, task) <= 0.5 * forget_recall(unlinked.model, task)


def test_without_decoupling_the_model_stays() -> None:
    result, tape, task = run("multidelete", "vbpr", lambda_dec=0.0, epochs=3)
    before = weights(private_copy(trained("vbpr"), task))
    assert same(weights(result.model), before)
    assert all(values["loss/mkr"] == values["loss/ukr"] == 0.0 for values in tape.curves)


@pytest.mark.parametrize(("weight", "term"), [("lambda_mkr", "loss/mkr"), ("lambda_ukr", "loss/ukr")])
def test_each_retention_term_holds_what_it_names(weight: str, term: str) -> None:
    def drift(value: float) -> float:
        others = {"lambda_mkr": 0.0, "lambda_ukr": 0.0, weight: value}
        _, tape, _ = run("multidelete", "mgcn", epochs=10, **others)
        return tape.curves[-1][term]

    assert drift(100.0) < 0.5 * drift(0.0)


def test_counts_forgotten_and_retained_examples() -> None:
    _, tape, task = run("multidelete", "vbpr", epochs=3)
    assert tape.count == 3 * 2 * task.request.forget.shape[1]
    assert [set(values) for values in tape.curves] == [{"loss/dec", "loss/mkr", "loss/ukr"}] * 3


def test_no_epoch_changes_nothing() -> None:
    result, _, task = run("multidelete", "mgcn", epochs=0)
    assert same(weights(result.model), weights(private_copy(trained("mgcn"), task)))


def test_a_backbone_without_modalities_is_refused_before_training() -> None:
    sentence = r"method\.name=multidelete decouples modalities and LightGCN has none: .* backbone=mgcn\."
    with pytest.raises(InputError, match=sentence):
        MultiDelete(MultiDeleteOptions()).check(trained("lightgcn"))
    with pytest.raises(TypeError, match="LightGCN has no modality streams"):
        item_streams(trained("lightgcn"))


@pytest.mark.parametrize("backbone", ["mgcn", "mig_gt", "vbpr", "freedom", "lattice", "bm3"])
def test_streams_are_one_per_modality(backbone: str) -> None:
    streams = item_streams(trained(backbone))
    assert sorted(streams) == ["image", "text"]
    assert all(stream.shape[0] == 24 for stream in streams.values())
