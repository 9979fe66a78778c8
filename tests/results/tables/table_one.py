"""A small version of TRU's Table 1 with known content: three seeds of a failed and of finished cells."""

from __future__ import annotations

from results.tables.layout import Scope
from results.tables.measured import MeasuredTable, Place

SCOPE = Scope(datasets=("synthetic",), backbones=("mgcn",), seeds=(0, 1, 2))
ARGUMENTS = ["--dataset", "synthetic", "--backbone", "mgcn"]
TEST = {"original": 0.40, "retrain": 0.35, "mmrecun": 0.30, "tru": 0.365}
FORGET = {"original": 0.80, "retrain": 0.10, "mmrecun": 0.13, "tru": 0.05}
STEP = {"original": 0.0, "retrain": 0.01, "mmrecun": 0.02, "tru": 0.01}


def at(table: MeasuredTable, method: str, title: str, regime: str = "user") -> Place:
    (found,) = [
        place
        for place in table.places
        if (place.entry.method, place.entry.labels["regime"], place.quantity.title) == (method, regime, title)
    ]
    return found
