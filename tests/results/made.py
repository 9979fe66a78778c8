"""Cells of known content, without a store: two backbones, two regimes, references and two methods.

Methods have three training seeds and gold five, with the same mean and deviation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product

from bench.planning.code import STAGES, code_today
from bench.record.names import CODE_TAG, FORGET_RECALL, RETAIN_RECALL, SPEEDUP, TEST_RECALL
from results.names.headlines import LIST_EXCESS
from results.runs.frame import CellRun
from results.runs.groups import Group, grouped

EVIL = "</script><script>window.broken = true</script>"
METHODS = ("original", "retrain", "mmrecun", "tru")
SEEDS = (0, 1, 2)
GOLD_SEEDS = (0, 1, 2, 3, 4)
STEPS = (-0.01, 0.0, 0.01, -0.01, 0.01)
"""By seed; three and five of them have a mean of 0 and a standard deviation of .01."""
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
    parts = ("method", "backbone", *STAGES)
    code = {CODE_TAG + part: code_today(part, labels) or "not here" for part in parts if part != "repair"}
    identity = f"{backbone}-{regime}-{method}-{seed}-{sorted((params or {}).items())}"
    return CellRun(
        run_id=f"run-{identity}",
        cell_key=f"cell-{identity}",
        status="FINISHED",
        labels={**labels, "seed": str(seed)},
        params={"method.name": method, "backbone.name": backbone, "seed": str(seed), **(params or {})},
        metrics=every,
        tags={"lethe.commit": "c0ffee", "device.name": "test device", "device.threads": "1", **code},
        ended=1_700_000_000_000 + seed,
    )


def metrics(method: str, seed: int, backbone: str) -> dict[str, float]:
    """Metrics with a step of .01 per seed, so that mean and deviation are known."""
    step = STEPS[seed]
    test = BASE.get(method, 0.2) + step + (0.05 if backbone == "lightgcn" else 0.0)
    forget = FORGET.get(method, 0.3) + step / 2
    found = {
        TEST_RECALL: test,
        "valid/recall_at_20": test,
        RETAIN_RECALL: test + 0.3,
        FORGET_RECALL: forget,
        LIST_EXCESS: step if method == "retrain" else 0.05 + forget,
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
    return [
        cell(method, seed, backbone, regime)
        for backbone, regime, method in product(("mgcn", "lightgcn"), ("user", "interaction"), METHODS)
        for seed in (GOLD_SEEDS if method == "retrain" else SEEDS)
    ]


def rows(more: Iterable[CellRun] = (), variants: Mapping[str, str] | None = None) -> list[Group]:
    """The rows of the cells, and of some more."""
    return grouped([*cells(), *more], variants or {})


def trajectory(run_id: str) -> list[dict[str, float]]:
    """Three points of every run."""
    return [
        {"seconds": float(2**step), "valid/recall_at_20": 0.2 + 0.01 * step, FORGET_RECALL: 0.5 / step}
        for step in (1, 2, 3)
    ]
