"""The quantities that tables and pages show: metric, title and goal, each said once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.measure.marks import Goal
from bench.record.names import FORGET_RECALL, RETAIN_RECALL, TEST_RECALL

GOLD = "retrain"
LIST_EXCESS = "list_distance/excess_overlap_at_20"
"""How much further a model's lists are from those of gold models of other seeds than these are from each
other. Formed from the runs of a store (``results.distance.lists``); no run logs it."""

POISONED = {"poison": "backdoor", "regime": "poison", "audit": "poison"}


@dataclass(frozen=True)
class Quantity:
    """A column: a recorded metric.

    Attributes:
        title: printed, by our own name for it.
        metric: name in MLflow.
        goal: ``gold`` means that the closest to gold's value is best.
        printed: metric of the published table that it is held against.
        overrides: what a cell needs beside the row's own overrides to have it.
        gap: whether the distance to gold is printed.
    """

    title: str
    metric: str
    goal: Goal
    printed: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    gap: bool = True


TEST = Quantity("test recall@20", TEST_RECALL, "high", TEST_RECALL)
FORGET = Quantity("forget recall@20", FORGET_RECALL, "gold", FORGET_RECALL)
RETAIN = Quantity("retain recall@20", RETAIN_RECALL, "gold")
TEST_NDCG = Quantity("test NDCG@20", "test/ndcg_at_20", "high", "test/ndcg_at_20", gap=False)
FORGET_NDCG = Quantity("forget NDCG@20", "forget/ndcg_at_20", "gold", "forget/ndcg_at_20", gap=False)
MEMBERSHIP = Quantity("membership bal. acc.", "audit/membership/balanced_accuracy", "gold", "membership")
BACKDOOR = Quantity("backdoor ASR", "audit/backdoor/attack_success_rate", "low", "backdoor", POISONED)
CLEAN = Quantity("clean after", "audit/backdoor/clean_hit_rate", "low", "clean_after", POISONED)
CLEAN_RECALL = Quantity(
    "clean recall@20", "audit/backdoor/clean_recall_at_20", "high", None, POISONED, gap=False
)
