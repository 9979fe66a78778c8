"""What single audits promise beyond the rules for all (test_every_audit.py)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch

from bench.audits import AUDITS
from bench.audits.base import Audit, AuditContext
from bench.audits.behaviour.fairness import Fairness, FairnessOptions
from bench.audits.behaviour.popularity import Popularity
from bench.audits.behaviour.representation import branches, linear_cka, shifts
from bench.audits.membership.onion import Onion
from bench.audits.membership.score import MembershipScore
from bench.audits.membership.shadow import MembershipShadow
from bench.audits.memory.forget_recall import ForgetRecall
from bench.audits.memory.put_back import PutBack, bound
from bench.audits.memory.relearn import Relearn, RelearnOptions
from bench.cell.workshop import fresh_model
from bench.config.compose import expand
from bench.config.registry import load_class, registry
from bench.config.schema import Choice
from bench.config.source import options_of
from bench.measure.evaluate import evaluating
from bench.planning.request import draw
from bench.train.options import TrainConfig
from datasets.errors import InputError
from datasets.request_options import RequestOptions
from datasets.requests import DeletionRequest
from tests.bench.audits.planted import planted_cell, planted_data
from tests.bench.audits.test_membership_score import Scores
from tests.tiny import NUM_ITEMS, tiny_data

REGIMES = [name for name in sorted(registry("regime")) if name not in ("poison", "none")]


def tiny_context(regime: str = "user", **changes: Any) -> AuditContext:
    data = tiny_data()
    request = draw(RequestOptions(name=regime, ratio=0.3), data)  # type: ignore[arg-type]
    context = AuditContext(data, request.apply(data), request, 0, 10_000, TrainConfig())
    return replace(context, **changes)


def test_cka_knows_rotations_from_independence() -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(500, 6, generator=generator)
    rotation = torch.linalg.qr(torch.randn(6, 6, generator=generator)).Q
    assert linear_cka(x, 3 * x @ rotation + 1) == pytest.approx(1, abs=1e-6)
    assert linear_cka(x, torch.randn(500, 4, generator=generator)) < 0.05


def test_the_shift_is_relative_to_the_reference() -> None:
    cell = planted_cell("user", "none")
    model = fresh_model(Choice("lightgcn", cell.original.options), cell.context.full, 0)
    moved = fresh_model(Choice("lightgcn", cell.original.options), cell.context.full, 0)
    with torch.no_grad():
        moved.id_tables()["item"].mul_(1.5)
    found = shifts(moved, model)
    assert found["id.user_embedding"] == 0
    assert found["id.item_embedding"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("lightgcn", {"id"}), ("vbpr", {"id", "image", "text"}), ("mgcn", {"id", "image", "text"})],
)
def test_branches_of_backbones_with_and_without_their_own_view(name: str, expected: set[str]) -> None:
    model = fresh_model(Choice(name, options_of("backbone", name)()), tiny_data(), 0)
    with torch.no_grad():
        found = branches(model)
    assert found.keys() == expected
    assert all(len(rows) == NUM_ITEMS for rows in found.values())


def test_exposure_counts_target_slots_of_users_who_stay() -> None:
    context = tiny_context()
    targets = context.request.forget[1].unique()
    table = torch.zeros(context.full.num_users, NUM_ITEMS)
    context = replace(context, references={"original": Scores(table)})  # type: ignore[dict-item]
    found = Popularity(context).figures(Scores(table))  # type: ignore[arg-type]
    assert float(found["exposure_drop"]) == 0
    slots = torch.as_tensor(found["exposure_by_decile"])
    assert float(slots.sum()) == pytest.approx(1)
    assert int(torch.as_tensor(found["forget_popularity"]).sum()) == context.request.forget.shape[1]
    known = context.retain.train
    stays = [u for u in range(context.full.num_users) if u not in context.request.users]
    shares = []
    for user in stays:
        seen = set(known[1, known[0] == user].tolist())
        shown = [item for item in range(NUM_ITEMS) if item not in seen][:20]
        shares.append(sum(item in targets for item in shown) / len(shown))
    assert found["exposure_at_20"] == pytest.approx(sum(shares) / len(shares))


def test_active_users_are_the_most_active_of_those_who_stay() -> None:
    data = planted_data("none")
    request = draw(RequestOptions(name="user", ratio=0.2), data)
    context = AuditContext(data, request.apply(data), request, 0, 10**7, TrainConfig())
    table = torch.zeros(data.num_users, data.num_items)
    activity = torch.bincount(context.retain.train[0], minlength=data.num_users)
    best = activity.argsort(descending=True)[:20]
    favoured = torch.isin(data.test[0], best)
    table[data.test[0, favoured], data.test[1, favoured]] = 1.0
    found = Fairness(context).figures(Scores(table))  # type: ignore[arg-type]
    assert found["recall_at_20/active"] > 0.8 > 0.4 > found["recall_at_20/inactive"]
    gap = float(found["ndcg_at_20/active"]) - float(found["ndcg_at_20/inactive"])
    assert found["ndcg_gap"] == pytest.approx(gap)
    assert found["recall_at_20/quarter_4"] > found["recall_at_20/quarter_1"]


def test_relearning_starts_from_the_graph_without_the_forgotten_edges() -> None:
    cell, options = planted_cell("user", "none"), RelearnOptions(rates=(0.01, 0.1), passes=4)
    before = ForgetRecall(cell.context)(bound(cell.original, cell.context.retain)).mean()
    with evaluating(cell.original) as model:
        found = Relearn(cell.context, options).figures(model)
    curve = torch.as_tensor(found["curve"])
    assert curve.shape == (2, 5)
    assert curve[:, 0].tolist() == pytest.approx([before, before])
    whole = ForgetRecall(cell.context)(cell.original).mean()
    shares = curve.double() / whole
    areas = torch.trapezoid(shares, dim=1) / 4
    assert [found["area_at_0.01"], found["area_at_0.1"]] == pytest.approx(areas.tolist())
    assert found["area"] == pytest.approx(float(areas.mean()))
    assert [found["regained_at_0.01"], found["regained_at_0.1"]] == pytest.approx(shares[:, -1].tolist())


def test_the_distance_to_golds_area_is_that_of_the_worst_rate() -> None:
    cell, options = planted_cell("user", "none"), RelearnOptions(rates=(0.001, 0.1), passes=3)
    audit = Relearn(cell.context, options)
    with evaluating(cell.moved) as moved, evaluating(cell.gold) as gold:
        away, own = audit.figures(moved), audit.figures(gold)
    assert float(own["area_at_0.1"]) > 1.2 * float(own["area_at_0.001"])
    gaps = [float(own[f"area_at_{rate}"]) - float(away[f"area_at_{rate}"]) for rate in ("0.001", "0.1")]
    assert min(gaps) > 0
    assert away["from_gold"] == pytest.approx(max(gaps))
    assert own["from_gold"] == own["from_gold_high"] == 0


def test_growth_of_the_onion_is_over_the_original_on_those_who_stay() -> None:
    cell = planted_cell("user", "none")
    audit = Onion(cell.context)
    with evaluating(cell.original) as model:
        assert audit.figures(model)["growth"] == 0
    assert not torch.isin(audit._pairs.members[0], cell.context.request.users).any()


@pytest.mark.parametrize("regime", REGIMES)
def test_shadow_parts_are_disjoint_equal_and_of_the_retain_set(regime: str) -> None:
    data = planted_data("none")
    request = draw(RequestOptions(name=regime, ratio=0.2), data)
    audit = MembershipShadow(AuditContext(data, request.apply(data), request, 0, 10**7, TrainConfig()))
    retain, parts = audit.context.retain, (audit._left_out, audit._members)
    units = [p.users if regime == "user" else _keys(p.forget) for p in parts]
    assert not torch.isin(*units).any()
    assert abs(len(units[0]) - len(units[1])) <= 1
    whole = len(retain.train[0].unique()) if regime == "user" else retain.train.shape[1]
    assert len(units[0]) == round(0.2 * whole)
    assert all(torch.isin(_keys(part.forget), _keys(retain.train)).all() for part in parts)
    shadow = _keys(audit._left_out.apply(retain).train)
    assert not torch.isin(_keys(parts[0].forget), shadow).any()


def test_a_handful_of_users_is_too_few_for_a_shadow_attack() -> None:
    with pytest.raises(InputError, match=r"regime\.ratio"):
        MembershipShadow(tiny_context())


def _keys(pairs: torch.Tensor) -> torch.Tensor:
    return pairs[0] * 1000 + pairs[1]


@pytest.mark.parametrize(
    ("audit", "poison", "regime", "words"),
    [
        ("backdoor", "none", "user", "poison=none: choose poison=backdoor"),
        ("spam", "backdoor", "poison", "poison=backdoor: choose poison=spam"),
        ("backdoor", "backdoor", "user", "exactly the injected users"),
    ],
)
def test_poisoning_audits_are_refused_elsewhere(audit: str, poison: Any, regime: Any, words: str) -> None:
    data = planted_data(poison)
    request = draw(RequestOptions(name=regime, ratio=None if regime == "poison" else 0.2), data)
    kind: type[Audit] = load_class("audit", audit)
    with pytest.raises(InputError, match=words):
        kind(AuditContext(data, request.apply(data), request, 0, 10**7, TrainConfig()))


def test_the_presets_hold_every_audit() -> None:
    named: set[str] = set()
    for overrides in (["audit=full"], *(["audit=poison", f"poison={p}"] for p in ("backdoor", "spam"))):
        named |= set(expand(overrides, multirun=False)[0].audit.audits)
    assert named == set(AUDITS)
    for name in ("trace", "return"):
        assert expand([f"audit={name}"], multirun=False)[0].audit.audits == (name,)


def test_active_users_are_as_many_as_the_option_says() -> None:
    data = planted_data("none")
    request = draw(RequestOptions(name="user", ratio=0.2), data)
    context = AuditContext(data, request.apply(data), request, 0, 10**7, TrainConfig())
    few, many = (Fairness(context, FairnessOptions(active_share=share)) for share in (0.1, 0.5))
    assert 4 < len(many._groups["active"]) / len(few._groups["active"]) < 6


def test_pairs_of_withdrawn_items_are_no_targets_of_fairness() -> None:
    data = tiny_data()
    request = draw(RequestOptions(name="item", ratio=0.3), data)
    audit = Fairness(AuditContext(data, request.apply(data), request, 0, 10_000, TrainConfig()))
    assert torch.isin(data.test[1], request.items).any()
    assert not torch.isin(audit._test.items, request.items).any()


@pytest.mark.parametrize("kind", [Relearn, PutBack, MembershipScore])
def test_a_request_without_forgotten_pairs_is_refused(kind: type[Audit]) -> None:
    data = tiny_data()
    none = data.train[0, :0]
    request = DeletionRequest("modality", none, none, data.train[:, :0])  # type: ignore[arg-type]
    with pytest.raises(InputError, match=r"audit\.audits"):
        kind(AuditContext(data, data, request, 0, 10_000, TrainConfig()))
