"""Cells of known content, without a store: two settings, three seeds, references and two methods."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

from bench.record.names import FORGET_RECALL, OVERLAP, RETAIN_RECALL, SPEEDUP, TEST_RECALL
from results.runs.frame import CellRun

EVIL = "</script><script>window.broken = true</script>"
METHODS = ("original", "retrain", "mmrecun", "tru")
SEEDS = (0, 1, 2)
BASE = {"original": 0.30, "retrain": 0.29, "mmrecun": 0.25, "tru": 0.28}
FORGET = {"original": 0.60, "retrain": 0.10, "mmrecun": 0.02, "tru": 0.08}
SECONDS = {"original": 0.0, "retrain": 100.0, "mmrecun": 10.0, "tru": 2.0}


def cell(
    method: str,
    seed: int,
    backbone: str = "mgcn",
    regime: str = "user",
    params: Mapping[str, str] | None = None,
    **changed: float,
) -> CellRun:
    """One finished cell; ``changed`` replaces metrics, with ``__`` for the slash in their names."""
    every = {**metrics(method, seed, backbone), **{k.replace("__", "/"): v for k, v in changed.items()}}
    labels = {"dataset": "baby", "backbone": backbone, "regime": regime, "method": method}
    identity = f"{backbone}-{regime}-{method}-{seed}-{sorted((params or {}).items())}"
    return CellRun(
        run_id=f"run-{identity}",
        cell_key=f"cell-{identity}",
        status="FINISHED",
        labels={**labels, "seed": str(seed)},
        params={"method.name": method, "backbone.name": backbone, "seed": str(seed), **(params or {})},
        metrics=every,
        tags={"lethe.commit": "c0ffee", "device.name": "test device", "device.threads": "1"},
        ended=1_700_000_000_000 + seed,
    )


def metrics(method: str, seed: int, backbone: str) -> dict[str, float]:
    """Metrics with a step of .01 per seed, so that mean and deviation are known."""
    step = 0.01 * (seed - 1)
    test = BASE.get(method, 0.2) + step + (0.05 if backbone == "lightgcn" else 0.0)
    forget = FORGET.get(method, 0.3) + step / 2
    found = {
        TEST_RECALL: test,
        "valid/recall_at_20": test,
        RETAIN_RECALL: test + 0.3,
        FORGET_RECALL: forget,
        OVERLAP: 1.0 if method == "retrain" else 0.7,
        "time/unlearn_seconds": SECONDS.get(method, 1.0),
        "time/gold_train_seconds": 100.0,
        "audit/membership/balanced_accuracy": 0.5 + forget / 4,
        "audit/membership/gold_balanced_accuracy": 0.525,
        "audit/popularity/exposure_at_20": 0.4 + forget,
    }
    if SECONDS.get(method, 1.0) > 0:
        found[SPEEDUP] = 100.0 / SECONDS.get(method, 1.0)
    for place, module in enumerate(("id.item_embedding", "image.projections")):
        shift = 0.0 if method == "original" else forget + place
        found[f"audit/representation/shift_to_original/{module}"] = shift
    for place, pair in enumerate(("id_image", "id_text", "image_text")):
        found[f"audit/representation/cka/{pair}"] = 0.2 + 0.1 * place + forget / 10
    return found


def cells() -> list[CellRun]:
    """The cells of two backbones and two regimes."""
    every = product(("mgcn", "lightgcn"), ("user", "interaction"), METHODS, SEEDS)
    return [cell(method, seed, backbone, regime) for backbone, regime, method, seed in every]


def trajectory(run_id: str) -> list[dict[str, float]]:
    """Three points of every run."""
    return [
        {"seconds": float(2**step), "valid/recall_at_20": 0.2 + 0.01 * step, FORGET_RECALL: 0.5 / step}
        for step in (1, 2, 3)
    ]
