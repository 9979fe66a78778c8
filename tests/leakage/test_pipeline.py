"""Guarantees where they are kept: on the pipeline itself, for every method, backbone and regime.

What the forgotten pairs, withdrawn content and test labels may reach is asked of what the pipeline hands to
training, to the method, to the yardstick and to the audits, and of the weights and figures that come out.
``tests/programs/mutants.py`` breaks the code on purpose and lists which of these tests notice.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from bench.cache.models import ModelCache
from bench.config.registry import registry
from bench.planning.request import draw
from datasets.interactions import InteractionData, RawDataset
from datasets.sampling import TripleSampler
from tests.leakage.observed import Observed, bound_outputs, keys, moved_pairs, observe, outputs
from tests.products import in_turn
from tests.registered import ONLY_CLOSED_FORMS, TRAINED
from tests.unlearning.cells import ASKS_A_SERVER
from unlearning import REFERENCE_METHODS

METHODS = sorted(set(registry("method")) - {*ONLY_CLOSED_FORMS, *ASKS_A_SERVER})
BACKBONES = TRAINED
REGIMES = ("user", "item", "interaction")
QUICK = ("train.max_epochs=1", "regime.ratio=0.2", "evaluate.trajectory=false")
OPTIONS = {
    "tru": {"bpr": "method.gate=false", "lightgcn": "method.gate=false"},
    **{method: {"": "method.shards=2"} for method in ("sisa", "receraser", "ultrare")},
    "unlearnrec": {"": "method.epochs=2"},
    "mmrecun": {"": "method.reverse_lr=1.0"},  # a model of one epoch does not bear the default's steps
}
CHOOSY = ("gnndelete", "multidelete")
"""Methods that refuse most backbones."""
DIVERGING = {("mmrecun", "mmgcn"), ("tru", "mmgcn")}
"""Weights that are not finite, with the default steps on a model that was trained for one epoch."""


def options_of(method: str, backbone: str) -> tuple[str, ...]:
    """What a method needs beside its defaults on the tiny data."""
    known = OPTIONS.get(method, {})
    return tuple(text for key, text in known.items() if key in ("", backbone))


def backbone_for(method: str, position: int, turn: int) -> str:
    """Backbones in turn, so that all occur, each in one regime; mgcn where that does not work."""
    backbone = BACKBONES[(position * len(REGIMES) + turn) % len(BACKBONES)]
    return "mgcn" if method in CHOOSY or (method, backbone) in DIVERGING else backbone


CASES = [
    (method, backbone_for(method, position, turn), regime)
    for position, method in enumerate(METHODS)
    for turn, regime in enumerate(REGIMES)
]
every_case = pytest.mark.parametrize(("method", "backbone", "regime"), CASES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that the cells of this module share, as those of a sweep do."""
    return tmp_path_factory.mktemp("shared")


def graph_of(seen: Observed, graph: str) -> InteractionData:
    return seen.task.full if graph == "full" else seen.task.retain


@every_case
def test_a_method_starts_from_the_graph_it_names_and_leaves_the_one_it_names(
    method: str, backbone: str, regime: str, folder: Path
) -> None:
    place = folder / backbone / regime
    seen = observe(
        place,
        f"method={method}",
        f"backbone={backbone}",
        f"regime={regime}",
        *QUICK,
        *options_of(method, backbone),
    )
    named = seen.cell.config.method.options
    assert seen.entry_model is not None
    assert seen.measured_model is not None
    assert torch.equal(
        outputs(seen.entry_model), bound_outputs(seen.entry_model, graph_of(seen, named.graph_at_unlearning))
    )
    measured = graph_of(seen, named.graph_at_evaluation)
    assert torch.equal(outputs(seen.measured_model), bound_outputs(seen.measured_model, measured))
    assert seen.measured_graph == named.graph_at_evaluation
    _lends_no_forgotten_pair_and_no_test_pair(seen)
    _lends_gold_to_reference_systems_only(seen, method)


def _lends_gold_to_reference_systems_only(seen: Observed, method: str) -> None:
    if method not in REFERENCE_METHODS:
        with pytest.raises(RuntimeError, match="only reference systems get"):
            seen.task.gold()
        return
    with torch.no_grad():
        for parameter in seen.task.gold().model.parameters():
            parameter.zero_()
    assert seen.measured_gold is not None
    assert any(bool(parameter.any()) for parameter in seen.task.gold().model.parameters())


def _lends_no_forgotten_pair_and_no_test_pair(seen: Observed) -> None:
    task, size = seen.task, seen.task.full.num_items
    forgotten = keys(task.request.forget, size)
    assert forgotten
    assert keys(task.full.train, size) - keys(task.retain.train, size) == forgotten
    assert keys(task.retain.train, size) | forgotten == keys(task.full.train, size)
    assert task.full.test.shape[1] == task.retain.test.shape[1] == 0
    assert task.request.forget.shape[1] == seen.outcome.request.forget.shape[1]
    sampler = task.retain_sampler()
    drawn = [keys(torch.stack([b.users, b.positives]), size) for b in sampler.epoch(64)]
    assert not set().union(*drawn) & forgotten
    forget = task.forget_sampler()
    negatives = [keys(torch.stack([b.users, b.negatives]), size) for b in forget.epoch(64)]
    assert not set().union(*negatives) & keys(task.full.train, size)


@pytest.mark.parametrize(("backbone", "regime"), in_turn(BACKBONES, REGIMES))
def test_gold_is_trained_on_the_retain_set_and_the_original_on_everything(
    backbone: str, regime: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen_by_sampler: list[set[int]] = []
    start = TripleSampler.__init__

    def spied(self: TripleSampler, pairs: torch.Tensor, *rest: object) -> None:
        start(self, pairs, *rest)  # type: ignore[arg-type]
        seen_by_sampler.append(keys(pairs, 120))

    with monkeypatch.context() as patch:
        patch.setattr(TripleSampler, "__init__", spied)
        seen = observe(tmp_path, "method=graph_only", f"backbone={backbone}", f"regime={regime}", *QUICK)
    full, retain = seen.task.full, seen.task.retain
    forgotten = keys(seen.task.request.forget, 120)
    original, gold = seen_by_sampler[:2]
    assert original == keys(full.train, 120)
    assert gold == keys(retain.train, 120)
    assert not gold & forgotten
    data = seen.trained_on["gold"]
    assert keys(data.train, 120) == gold
    assert not torch.isin(data.valid[0], seen.task.request.users).any()
    assert not torch.isin(data.valid[1], seen.task.request.items).any()
    for rows in data.features.values():
        assert not rows[seen.task.request.items].any()
    for graph in data.item_graphs.values():
        dense = graph.to_dense()
        assert not dense[seen.task.request.items].any()
        assert not dense[:, seen.task.request.items].any()
    gold_model = seen.measured_gold
    assert gold_model is not None
    assert torch.equal(outputs(gold_model), bound_outputs(gold_model, retain))


@pytest.mark.parametrize("backbone", ["lightgcn", "mgcn"])
def test_other_forgotten_pairs_give_the_same_gold(backbone: str, tmp_path: Path) -> None:
    """Two histories that differ only in what the request removes leave gold bit-equal."""
    weights = []
    for name, seed in (("first", 1), ("second", 2)):
        place = tmp_path / name
        users = [3, 50, 120]
        request = tmp_path / "request.csv"
        request.write_text("userID\n" + "\n".join(map(str, users)) + "\n")
        seen = observe(
            place,
            "method=graph_only",
            f"backbone={backbone}",
            f"regime.file={request}",
            "regime.ratio=null",
            "train.max_epochs=2",
            change=lambda raw, users=users, seed=seed: moved_pairs(raw, users, seed),  # type: ignore[misc]
        )
        folder = ModelCache(seen.cell.config.cache.dir).folder(seen.cell.keys.gold)
        weights.append(load_file(folder / "weights.safetensors"))
        assert seen.outcome.request.users.tolist() == users
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def permuted_test(raw: RawDataset) -> RawDataset:
    items = np.random.default_rng(1).permutation(raw.test[1])
    return replace(raw, test=np.stack([raw.test[0], items]))


@pytest.mark.parametrize("method", METHODS)
def test_test_labels_change_no_weight_and_no_curve(method: str, folder: Path) -> None:
    """The original and gold of each side are trained once, by whichever method comes first."""
    backbone, regime = ("mgcn", "interaction")
    overrides = [f"method={method}", f"backbone={backbone}", f"regime={regime}", "train.max_epochs=2"]
    overrides += ["regime.ratio=0.2", *options_of(method, backbone)]
    plain = observe(folder / "plain", *overrides)
    other = observe(folder / "other", *overrides, change=permuted_test)
    assert plain.measured_model is not None
    assert other.measured_model is not None
    state, changed = plain.measured_model.state_dict(), other.measured_model.state_dict()
    assert all(torch.equal(state[key], changed[key]) for key in state)
    hidden = ("seconds",)
    for first, second in zip(plain.outcome.trajectory, other.outcome.trajectory, strict=True):
        assert {k: v for k, v in first.items() if k not in hidden} == {
            k: v for k, v in second.items() if k not in hidden
        }
    valid = "valid/recall_at_20"
    assert plain.outcome.measured.metrics[valid] == other.outcome.measured.metrics[valid]
    assert plain.outcome.gold.best_epoch == other.outcome.gold.best_epoch
    test = "test/ndcg_at_20"
    assert plain.outcome.measured.metrics[test] != other.outcome.measured.metrics[test]


def test_the_request_follows_its_own_seed_and_not_the_training_seed(tmp_path: Path) -> None:
    def pairs(*overrides: str) -> set[int]:
        seen = observe(tmp_path, "method=graph_only", "backbone=bpr", *QUICK, *overrides)
        expected = draw(seen.cell.config.regime, seen.task.full).forget
        assert keys(expected, 120) == keys(seen.outcome.request.forget, 120)
        return keys(seen.outcome.request.forget, 120)

    first = pairs("seed=0", "regime.seed=0")
    assert pairs("seed=1", "regime.seed=0") == first
    assert pairs("seed=0", "regime.seed=1") != first


@pytest.mark.parametrize(
    ("regime", "candidates"),
    [("user", "all"), ("item", "all"), ("item", "remaining"), ("interaction", "all")],
)
def test_figures_are_those_of_a_plain_loop_over_users(regime: str, candidates: str, tmp_path: Path) -> None:
    """An oracle without the harness's masks, indices, blocks and shared rankings."""
    asked = [f"regime={regime}", f"evaluate.candidates={candidates}", "evaluate.lists=50"]
    seen = observe(tmp_path, "method=graph_only", "backbone=lightgcn", *asked, *QUICK)
    assert seen.read is not None
    assert seen.measured_model is not None
    scores, request = outputs(seen.measured_model), seen.outcome.request
    train = set(zip(*seen.task.full.train.tolist(), strict=True))
    forget = set(zip(*request.forget.tolist(), strict=True))
    retained = train - forget
    gone_users, gone_items = set(request.users.tolist()), set(request.items.tolist())
    off = gone_items if candidates == "remaining" else set()
    held_out = [(int(u), int(i)) for u, i in seen.read.test.T if int(u) not in gone_users]
    test = [(user, item) for user, item in held_out if item not in gone_items]
    valid = list(zip(*seen.task.retain.valid.tolist(), strict=True))
    expected = {
        "test": recalls(scores, test, retained, off),
        "forget": recalls(scores, sorted(forget), retained),
        "forget_unmasked": recalls(scores, sorted(forget), set()),
        "retain": recalls(scores, sorted(retained), set(), off),
        "valid": recalls(scores, valid, retained, off),
    }
    measured = seen.outcome.measured
    for split, by_user in expected.items():
        mean = float(np.mean(list(by_user.values())))
        assert measured.metrics[f"{split}/recall_at_20"] == pytest.approx(mean, abs=1e-9), split
    for split in ("test", "forget"):
        users = measured.per_user[f"{split}/users"].tolist()
        assert users == sorted(expected[split])
        found = measured.per_user[f"{split}/recall_at_20"].tolist()
        assert found == pytest.approx([expected[split][user] for user in users], abs=1e-6)
    assert measured.metrics["test_withdrawn/pairs"] == len(held_out) - len(test)
    lost = {user for user, _ in held_out} - {user for user, _ in test}
    assert measured.metrics["test_withdrawn/users_without_targets"] == len(lost)
    lists = measured.lists
    assert len(lists["users"]) == 50
    for user, items, group in zip(
        *(lists[name].tolist() for name in ("users", "items", "group")), strict=True
    ):
        assert items == best(scores, user, retained, off)
        touched = any(user == forgotten for forgotten, _ in forget)
        assert group == (2 if user in gone_users else 1 if touched else 0)


def recalls(
    scores: torch.Tensor,
    targets: list[tuple[int, int]],
    masked: set[tuple[int, int]],
    off: set[int] = frozenset(),  # type: ignore[assignment]
) -> dict[int, float]:
    """Recall@20 by user, one user after the other."""
    found = {}
    for user, group in itertools.groupby(sorted(targets), key=lambda pair: pair[0]):
        wanted = {item for _, item in group}
        found[user] = len(wanted & set(best(scores, user, masked, off))) / len(wanted)
    return found


def best(scores: torch.Tensor, user: int, masked: set[tuple[int, int]], off: set[int]) -> list[int]:
    """The 20 best items of a user that are neither masked nor off, equal scores by the smaller id."""
    row = scores[user].tolist()
    candidates = [item for item in range(len(row)) if (user, item) not in masked and item not in off]
    return sorted(candidates, key=lambda item: (-row[item], item))[:20]


@pytest.mark.parametrize("method", [m for m in METHODS if m in ("graph_only", "finetune", "tru")])
def test_audits_are_fed_the_unlearned_model_and_the_two_references(method: str, tmp_path: Path) -> None:
    seen = observe(tmp_path, f"method={method}", "backbone=mgcn", "audit=standard", *QUICK, audited=True)
    cache = ModelCache(seen.cell.config.cache.dir)
    stored = {
        role: load_file(cache.folder(key) / "weights.safetensors")
        for role, key in (("original", seen.cell.keys.original), ("gold", seen.cell.keys.gold))
    }
    assert set(seen.audited) == {"", "original", "gold"}
    for role, weights in stored.items():
        state = seen.audited[role].state_dict()
        assert all(torch.equal(state[key], value) for key, value in weights.items()), role
    assert seen.measured_model is not None
    left = seen.measured_model.state_dict()
    assert all(torch.equal(seen.audited[""].state_dict()[key], value) for key, value in left.items())
    assert torch.equal(outputs(seen.audited["gold"]), bound_outputs(seen.audited["gold"], seen.task.retain))
    assert torch.equal(
        outputs(seen.audited["original"]), bound_outputs(seen.audited["original"], seen.task.full)
    )


def test_a_method_that_changes_what_it_was_lent_fails_its_cell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bench.cell.unlearn import ProblemChanged
    from unlearning.base import Problem, Recorder, UnlearnResult
    from unlearning.graph_only import GraphOnly

    for spoil in (
        lambda problem: problem.full.features["image"].zero_(),
        lambda problem: problem.retain.train.copy_(problem.retain.train.flip(1)),
        lambda problem: problem.request.forget.zero_(),
    ):

        def unlearn(
            self: GraphOnly, original: object, problem: Problem, recorder: Recorder, spoil: object = spoil
        ) -> UnlearnResult:
            spoil(problem)  # type: ignore[operator]
            return UnlearnResult(original)  # type: ignore[arg-type]

        monkeypatch.setattr(GraphOnly, "unlearn", unlearn)
        with pytest.raises(ProblemChanged, match="graph_only changed the data or the request in place"):
            observe(tmp_path, "method=graph_only", "backbone=mgcn", *QUICK)
