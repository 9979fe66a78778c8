"""Cells on data with a planted structure, trained within seconds: what audits are audited on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from bench.audits.base import AuditContext
from bench.cell.workshop import fresh_model
from bench.config.schema import Choice
from bench.plan.request import draw
from bench.record.progress import progress
from bench.train.loop import train
from bench.train.options import TrainConfig
from datasets.interactions import InteractionData, RawDataset, to_torch
from datasets.poison import inject
from datasets.poison_options import Poison, PoisonOptions
from datasets.request_options import RequestOptions
from datasets.synthetic import Synthetic, SyntheticOptions
from models.base import Recommender
from models.lightgcn import LightGCNOptions

TRAIN = TrainConfig(learning_rate=0.01, batch_size=256, max_epochs=25, patience=5)
BACKBONE = Choice("lightgcn", LightGCNOptions(embedding_dim=32))
CHUNK = 10_000_000


@dataclass(frozen=True)
class PlantedCell:
    """What the audits get, and the models whose verdict is known beforehand."""

    context: AuditContext
    original: Recommender
    gold: Recommender
    other_gold: Recommender
    untrained: Recommender


@cache
def planted_cell(regime: str, poison: Poison) -> PlantedCell:
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
    return PlantedCell(context, original, gold, trained(retain, 1), fresh_model(BACKBONE, full, 3))


@cache
def planted_data(poison: Poison) -> InteractionData:
    """600 users x 200 items with planted tastes, poisoned if asked."""
    raw = _planted()
    if poison != "none":
        raw = inject(raw, PoisonOptions(name=poison, ratio=0.05, targets=1 if poison == "backdoor" else 5))
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
