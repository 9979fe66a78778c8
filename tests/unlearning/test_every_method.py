"""Every registered method, on every backbone and in every regime: being registered is being tested."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from bench.config.registry import load_class, registry
from bench.config.source import options_of
from datasets.errors import InputError
from datasets.sampling import Batch
from models.base import LossTerms, Recommender
from models.capabilities import Capability, lacking
from tests.products import combinations
from tests.registered import ONLY_CLOSED_FORMS, TRAINED
from tests.unlearning.cells import (
    ASKS_A_SERVER,
    QUICK,
    REGIMES,
    Tape,
    private_copy,
    problem,
    ready,
    same,
    trained,
    weights,
)
from tests.unlearning.content_only import ContentOnly
from unlearning import METHODS as BUILT_IN
from unlearning.base import UnlearningMethod
from unlearning.reverse_repair import Repair

METHODS = sorted(set(registry("method")) - {*ONLY_CLOSED_FORMS, *ASKS_A_SERVER})
BACKBONES = TRAINED
CONF = Path(__file__).parents[2] / "conf"


NOT_PORTED = ("BPR", "VBPR", "LATTICE", "LGMRec", "SLMRec", "DualGNN", "MMGCN")
NO_LAYERS = (*NOT_PORTED, "BM3")
REFUSED = {
    ("multidelete", "BPR"): "has none: choose a multimodal backbone",
    ("multidelete", "LightGCN"): "has none: choose a multimodal backbone",
    **{("unlearnrec", name): f"and not on {name}: choose one of these" for name in NOT_PORTED},
    **{("gnndelete", name): f"{name} does not show or does not have: choose one of" for name in NO_LAYERS},
}
"""Methods that cannot work on a backbone, and part of the sentence that says so before training."""


def accepted(method: str, model: Recommender) -> UnlearningMethod:
    """The method with its defaults, or with the remedy that its own check names.

    What a plug-in refuses is its own affair: the test is skipped with its sentence.
    """
    kind = load_class("method", method)
    unlearner: UnlearningMethod = kind(kind.Options(**QUICK.get(method, {})))
    if method == "tru" and not model.fusion_parameters():
        with pytest.raises(InputError, match=r"set method\.gate=false\."):
            unlearner.check(model)
        unlearner = kind(kind.Options(gate=False))
    try:
        unlearner.check(model)
    except InputError as error:
        if method in BUILT_IN:
            raise
        pytest.skip(str(error))
    return unlearner


@pytest.mark.parametrize(("method", "backbone", "regime"), combinations(METHODS, BACKBONES, REGIMES))
def test_runs_and_leaves_the_problem_untouched(method: str, backbone: str, regime: str) -> None:
    if (method, type(trained(backbone)).__name__) in REFUSED:
        pytest.skip("refused before training, which test_refuses checks")
    task = problem(regime, backbone=backbone)
    tensors = [task.full.train, task.retain.train, task.request.forget, *task.full.features.values()]
    before = [tensor.clone() for tensor in tensors]
    unlearner = accepted(method, trained(backbone))
    task = ready(unlearner, trained(backbone), task)
    model = private_copy(trained(backbone), task, unlearner.options.graph_at_unlearning)
    result = unlearner.unlearn(model, task, Tape())
    found = [result.model.scores(torch.arange(task.full.num_users))]
    if Capability.EMBEDDINGS not in lacking(result.model):
        found += result.model.embeddings()
    assert all(torch.isfinite(tensor).all() for tensor in found)
    assert all(torch.equal(tensor, copied) for tensor, copied in zip(tensors, before, strict=True))


@pytest.mark.parametrize(("method", "backbone"), REFUSED)
def test_refuses(method: str, backbone: str) -> None:
    kind = load_class("method", method)
    with pytest.raises(InputError, match=REFUSED[method, backbone]):
        kind(kind.Options()).check(trained(backbone.lower()))


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_weights(method: str) -> None:
    def once() -> dict[str, Tensor]:
        unlearner = accepted(method, trained("mgcn"))
        task = ready(unlearner, trained("mgcn"), problem(backbone="mgcn"))
        return weights(unlearner.unlearn(private_copy(trained("mgcn"), task), task, Tape()).model)

    assert same(once(), once())


@pytest.mark.parametrize("method", sorted(registry("method")))
def test_options_are_found_without_importing_the_module(method: str) -> None:
    imported, read = load_class("method", method).Options, options_of("method", method)
    defaults = {field.name: field.default for field in dataclasses.fields(imported)}
    assert {field.name: field.default for field in dataclasses.fields(read)} == defaults


@pytest.mark.parametrize("method", sorted(registry("method")))
def test_the_config_file_states_every_default(method: str, config_dir: str | None) -> None:
    file = (CONF if method in BUILT_IN else Path(config_dir or ".")) / "method" / f"{method}.yaml"
    assert file.is_file(), f"{file} is missing; for a plug-in, --config-dir says where its configuration is"
    stated = yaml.safe_load(file.read_text(encoding="utf-8"))
    options = load_class("method", method).Options()
    assert stated == {"name": method, **dataclasses.asdict(options)}


@pytest.mark.parametrize("method", ["finetune", "mmrecun", "tru", "reverse_tables"])
def test_nothing_of_the_forget_set_is_sampled_for_repair(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = problem("interaction")
    seen: list[Tensor] = []
    model = private_copy(trained("lightgcn"), task)
    loss, epoch = model.loss, Repair.epoch

    def spied(batch: Batch) -> LossTerms:
        seen.append(torch.stack([batch.users, batch.positives]))
        return loss(batch)

    def repairing(self: Repair, *arguments: Any) -> float:
        with monkeypatch.context() as during:  # statistics may well look at forgotten pairs
            during.setattr(model, "loss", spied)
            return epoch(self, *arguments)

    monkeypatch.setattr(Repair, "epoch", repairing)
    unlearner = accepted(method, model)
    unlearner.unlearn(model, task, Tape())
    keys = [
        pairs[0] * task.full.num_items + pairs[1] for pairs in (torch.cat(seen, dim=1), task.request.forget)
    ]
    assert not torch.isin(*keys).any()


@pytest.mark.parametrize("method", ["finetune", "mmrecun", "tru", "reverse_tables"])
def test_trains_in_training_mode_whatever_the_evaluation_leaves(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task, modes = problem(), []
    model = ContentOnly(task.full).eval()
    embeddings = model.embeddings

    def spied() -> tuple[Tensor, Tensor]:
        modes.append(model.training)
        return embeddings()

    monkeypatch.setattr(model, "embeddings", spied)
    accepted(method, model).unlearn(model, task, Tape())
    assert modes
    assert all(modes)


NAME_BACKBONES = {"unlearnrec", "gnndelete"}


@pytest.mark.parametrize("method", [name for name in METHODS if name not in NAME_BACKBONES])
def test_a_backbone_without_an_item_table_is_accepted(method: str) -> None:
    """By methods that name no backbones."""
    task = problem("item")
    model = ContentOnly(task.full)
    unlearner = accepted(method, model)
    task = ready(unlearner, model, task)
    unlearner.unlearn(copy.deepcopy(model), task, Tape())


@pytest.mark.parametrize("method", METHODS)
def test_no_method_looks_at_validation_pairs_on_request(method: str) -> None:
    """By default: other pairs, other validation recall, the same weights."""

    def once(shift: int) -> dict[str, Tensor]:
        unlearner = accepted(method, trained("mgcn"))
        task = ready(unlearner, trained("mgcn"), problem("interaction", backbone="mgcn"))
        users, items = task.retain.valid
        retain = dataclasses.replace(task.retain, valid=torch.stack([users, items.roll(shift)]))
        model = private_copy(trained("mgcn"), task)
        torch.manual_seed(0)
        return weights(unlearner.unlearn(model, dataclasses.replace(task, retain=retain), Tape()).model)

    assert same(once(0), once(5))


STEPS_WITHOUT_A_GRADIENT = {"scalegun", "retrain"}
"""A Newton step of a closed form; gold's steps, which were taken elsewhere."""


@pytest.mark.parametrize(
    ("method", "options"), [*((method, {}) for method in METHODS), ("mmrecun", {"schedule": "mixed"})]
)
def test_reports_one_step_per_gradient(
    method: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statistics and probes too; a batch beside another in one gradient is none of its own."""
    if method in STEPS_WITHOUT_A_GRADIENT:
        pytest.skip("its steps are not gradients of the model it is given")
    unlearner = accepted(method, trained("mgcn"))
    if options:
        unlearner = type(unlearner)(dataclasses.replace(unlearner.options, **options))
    task = ready(unlearner, trained("mgcn"), problem(backbone="mgcn"))
    model, tape, taken = private_copy(trained("mgcn"), task), Tape(), []
    backward, grad = Tensor.backward, torch.autograd.grad
    monkeypatch.setattr(Tensor, "backward", lambda *a, **k: (taken.append(1), backward(*a, **k))[1])
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: (taken.append(1), grad(*a, **k))[1])
    unlearner.unlearn(model, task, tape)
    assert tape.steps == len(taken)
    assert (tape.count > 0) == (tape.steps > 0)
