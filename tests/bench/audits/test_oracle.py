"""Closed forms as an oracle: what ``exact`` leaves is gold to rounding, so nothing may tell the two apart.

For every audit, distance and gap, by registration: no difference between exact and gold, and one between gold
and the original. An audit whose chance is known must also find exact at chance, which takes fair pairs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

import pytest
import torch
from torch import Tensor

from bench.audits.base import Audit, AuditContext, Audited, run_audits
from bench.audits.membership.score import MembershipScore
from bench.audits.options import MembershipOptions
from bench.config.registry import load_class, registry
from bench.config.source import options_of
from bench.measure.yardstick import Measurement
from bench.planning.request import draw
from datasets.interactions import InteractionData
from datasets.request_options import RequestOptions
from models.capabilities import reason_against
from models.closed_form import ClosedForm
from tests.bench.audits.planted import CHUNK, TRAIN, planted_data
from tests.registered import CLOSED_FORMS

AUDITS = sorted(registry("audit"))
ROUNDING = 1e-9
WEIGHT = {"ease": {"l2": 20.0}}
"""Options under which the planted data, small as they are, are fitted closely."""


@dataclass(frozen=True)
class Oracle:
    """A cell in closed form."""

    context: AuditContext
    original: ClosedForm
    gold: ClosedForm
    exact: ClosedForm


def fitted(name: str, data: InteractionData) -> ClosedForm:
    model: ClosedForm = load_class("backbone", name)(
        data, options_of("backbone", name)(**WEIGHT.get(name, {}))
    )
    model.fit(data)
    return model


@cache
def oracle(name: str, regime: str, poison: str = "none") -> Oracle:
    """A request on the planted data, and what the closed form makes of it."""
    full = planted_data(poison)
    request = draw(RequestOptions(name=regime, ratio=None if regime == "poison" else 0.2), full)
    retain = request.apply(full)
    original, gold = fitted(name, full), fitted(name, retain)
    exact = copy.deepcopy(original)
    exact.forget(full, retain)
    exact.bind(retain)
    context = AuditContext(
        full,
        retain,
        request,
        seed=0,
        chunk_scores=CHUNK,
        train=TRAIN,
        references={"original": original, "gold": gold},
        train_model=lambda data, purpose: fitted(name, data),
    )
    return Oracle(context, original, gold, exact)


def audited(kind: Callable[[AuditContext], Audit], cell: Oracle) -> Audited:
    return run_audits([kind], {"": cell.exact, "original": cell.original, "gold": cell.gold}, cell.context)


def figures(found: Audited, name: str, role: str) -> dict[str, float]:
    """Figures of one model: those of the unlearned one have no role."""
    prefix = f"audit/{name}/"
    own = {key.removeprefix(prefix): value for key, value in found.metrics.items() if key.startswith(prefix)}
    if role:
        return {
            key.removeprefix(f"{role}_"): value for key, value in own.items() if key.startswith(f"{role}_")
        }
    return {key: value for key, value in own.items() if not key.startswith(("original_", "gold_"))}


def where(name: str) -> tuple[str, str]:
    """Regime and poison in which an audit has something to look for."""
    kind = load_class("audit", name)
    claim = kind.memory or kind.trace
    return (claim.regime if claim else "user"), getattr(claim, "poison", "none")


@cache
def found(name: str, backbone: str) -> Audited:
    return audited(load_class("audit", name), oracle(backbone, *where(name)))


def applicable(name: str, backbone: str) -> bool:
    """Whether the audit can be asked of a closed form; where not, that it says so."""
    kind = load_class("audit", name)
    reason = reason_against(oracle(backbone, *where(name)).gold, kind.needs)
    if reason:
        assert found(name, backbone).not_applicable == {
            f"audit/{kind.name}{role}": reason for role in ("", "/original_", "/gold_")
        }
        assert not figures(found(name, backbone), kind.name, "")
    return not reason


every_audit = pytest.mark.parametrize("name", AUDITS)
every_closed_form = pytest.mark.parametrize("backbone", CLOSED_FORMS)


@every_audit
@every_closed_form
def test_no_audit_tells_exact_from_gold(name: str, backbone: str) -> None:
    if not applicable(name, backbone):
        return
    kind = load_class("audit", name)
    exact, gold = (figures(found(name, backbone), kind.name, role) for role in ("", "gold"))
    assert exact.keys() == gold.keys()
    assert exact
    for figure, value in exact.items():
        assert value == pytest.approx(gold[figure], abs=ROUNDING, nan_ok=True), figure


@every_audit
@every_closed_form
def test_every_audit_tells_the_original_from_gold(name: str, backbone: str) -> None:
    if not applicable(name, backbone):
        return
    kind = load_class("audit", name)
    original, gold = (figures(found(name, backbone), kind.name, role) for role in ("original", "gold"))
    claim = kind.memory
    if claim is None:
        assert any(abs(original[figure] - gold[figure]) > 0.01 for figure in gold)
        return
    if claim.more_is == "higher":
        assert original[f"{claim.figure}_low"] > gold[claim.figure]
    else:
        assert original[f"{claim.figure}_high"] < gold[claim.figure]


def at_chance(kind: type[MembershipScore], cell: Oracle, options: MembershipOptions | None = None) -> bool:
    """Whether chance lies within the interval that the attack gives of exact."""
    own = figures(audited(partial(kind, options=options), cell), kind.name, "")
    return own["balanced_accuracy_low"] <= 0.5 <= own["balanced_accuracy_high"]


class Unmatched(MembershipScore):
    """The membership attack without its care: any item that the user has no pair with is a non-member."""

    Options = MembershipOptions

    def _candidates(self) -> tuple[Tensor, Tensor]:
        members, full = self.context.request.forget, self.context.full
        known = torch.zeros(full.num_users, full.num_items, dtype=torch.bool)
        for pairs in (full.train, full.valid, full.test):
            known[pairs[0], pairs[1]] = True
        return members, (~known).nonzero().t()


@every_closed_form
@pytest.mark.parametrize("regime", ["user", "interaction"])
def test_exact_is_at_chance_for_a_fair_attack(backbone: str, regime: str) -> None:
    assert at_chance(MembershipScore, oracle(backbone, regime))


@every_closed_form
def test_an_attack_without_matching_finds_memory_where_there_is_none(backbone: str) -> None:
    """The suite is no formality: this audit fails it."""
    assert not at_chance(Unmatched, oracle(backbone, "interaction"), MembershipOptions(ratio=1e6))


@every_closed_form
@pytest.mark.parametrize("regime", ["user", "item", "interaction"])
def test_no_measurement_tells_exact_from_gold_and_many_tell_the_original(backbone: str, regime: str) -> None:
    cell = oracle(backbone, regime)
    full, retain, request = cell.context.full, cell.context.retain, cell.context.request
    yardstick = Measurement(full, retain, request, CHUNK)
    exact, gold = (yardstick.apply(model, "retain", cell.gold) for model in (cell.exact, cell.gold))
    original = yardstick.apply(cell.original, "full", cell.gold)
    assert exact.metrics == gold.metrics
    assert all(torch.equal(exact.per_user[key], gold.per_user[key]) for key in gold.per_user)
    assert all(torch.equal(exact.lists[key], gold.lists[key]) for key in gold.lists if key == "items")
    near, far = (found.metrics for found in (exact, original))
    for users in ("gold_distance_same_seed", "gold_distance_same_seed_touched_users"):
        if f"{users}/overlap_at_20" in far:
            for measure in ("overlap_at_20", "rbo_at_20"):
                assert near[f"{users}/{measure}"] == pytest.approx(1, abs=ROUNDING)
            assert near[f"{users}/js_divergence"] == pytest.approx(0, abs=ROUNDING)
            assert far[f"{users}/overlap_at_20"] < 0.99
            assert far[f"{users}/js_divergence"] > 1e-6
    assert abs(far["forget/recall_at_20"] - near["forget/recall_at_20"]) > 0.05
