"""Cells on data with a planted structure, trained within seconds: what audits are audited on.

Data are planted, and so are models: gold with memory in it, and gold with the forgotten rows moved away.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import cache

import torch

from bench.audits.base import AuditContext
from bench.cell.workshop import fresh_model
from bench.config.schema import Choice
from bench.planning.request import draw
from bench.record.progress import progress
from bench.train.loop import train
from bench.train.options import TrainConfig
from datasets.interactions import InteractionData, RawDataset, to_torch
from datasets.poison import Injection, inject
from datasets.poison_options import PoisonOptions
from datasets.request_options import RequestOptions
from datasets.requests import DeletionRequest
from datasets.synthetic import Synthetic, SyntheticOptions
from models.base import Recommender
from models.lightgcn import LightGCNOptions

TRAIN = TrainConfig(learning_rate=0.01, batch_size=256, max_epochs=25, patience=5)
BACKBONE = Choice("lightgcn", LightGCNOptions(embedding_dim=32))
CHUNK = 10_000_000
POISONS = {
    "backdoor": PoisonOptions(name="backdoor", ratio=0.1, targets=8, triggers=8),
    "spam": PoisonOptions(name="spam", ratio=0.2, targets=8, targets_per_user=8),
}


@dataclass(frozen=True)
class PlantedCell:
    """What the audits get, and the models whose verdict is known beforehand.

    ``remembering`` is gold with the effect of the forgotten data planted in it, ``moved`` gold with the
    forgotten rows carried far away.
    """

    context: AuditContext
    original: Recommender
    gold: Recommender
    other_gold: Recommender
    untrained: Recommender
    remembering: Recommender
    moved: Recommender

    def models(self) -> dict[str, Recommender]:
        """By name."""
        return {name: model for name, model in vars(self).items() if name != "context"}


@cache
def planted_cell(regime: str, poison: str) -> PlantedCell:
    """A cell with all its models, trained once per test process."""
    full = planted_data(poison)
    ratio = None if regime == "poison" else 0.2
    request = draw(RequestOptions(name=regime, ratio=ratio), full)
    retain = request.apply(full)
    original, gold = trained(full, 0), trained(retain, 0)
    context = AuditContext(
        full,
        retain,
        request,
        seed=0,
        chunk_scores=CHUNK,
        train=TRAIN,
        references={"original": original, "gold": gold},
        train_model=lambda data, purpose: trained(data, 7),
    )
    remembering = remembering_gold(gold, original, request, Injection.of(full.provenance))
    others = trained(retain, 1), fresh_model(BACKBONE, full, 3)
    return PlantedCell(context, original, gold, *others, remembering, moved_gold(gold, request))


def remembering_gold(
    gold: Recommender, original: Recommender, request: DeletionRequest, injection: Injection | None
) -> Recommender:
    """Gold with the original's rows of forgotten users and items; in poisoned data with targets that suit
    the average user better than any other item."""
    model = copy.deepcopy(gold)
    tables, source = model.id_tables(), original.id_tables()
    with torch.no_grad():
        tables["user"][request.users] = source["user"][request.users]
        tables["item"][request.items] = source["item"][request.items]
        if injection is not None:
            taste = torch.nn.functional.normalize(tables["user"].mean(dim=0), dim=0)
            tables["item"][torch.tensor(injection.targets)] = taste * tables["item"].norm(dim=1).max()
    return model


def moved_gold(gold: Recommender, request: DeletionRequest) -> Recommender:
    """Gold with every forgotten row moved by three mean row norms in a direction of its own."""
    model, generator = copy.deepcopy(gold), torch.Generator().manual_seed(0)
    tables = model.id_tables()
    with torch.no_grad():
        for table, ids in ((tables["user"], request.users), (tables["item"], request.items)):
            away = torch.randn(len(ids), table.shape[1], generator=generator)
            table[ids] += 3 * table.norm(dim=1).mean() * torch.nn.functional.normalize(away, dim=1)
    return model


@cache
def planted_data(poison: str) -> InteractionData:
    """600 users x 200 items with planted tastes, poisoned if asked."""
    raw = _planted()
    if poison != "none":
        raw = inject(raw, POISONS[poison])
    return to_torch(raw, f"planted-{poison}")


@cache
def _planted() -> RawDataset:
    options = SyntheticOptions(num_users=600, num_items=200, num_interactions=12_000)
    return Synthetic("synthetic", options, None).read()  # type: ignore[arg-type]


def trained(data: InteractionData, seed: int) -> Recommender:
    """LightGCN trained on ``data``."""
    model = fresh_model(BACKBONE, data, seed)
    with progress("a planted cell") as shown:
        train(model, data, TRAIN, seed, CHUNK, shown)
    return model
