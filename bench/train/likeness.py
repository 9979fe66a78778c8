"""Whether gold was trained as long and as well as the original: if not, methods are held against a poor gold.

Training stops by validation recall, which is noisy on small data, so that gold can stop long before the
original did. Its figures are then those of its stopping epoch and not of having forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

BEST_EPOCH, BEST_RECALL = "train/{}_best_epoch", "train/{}_valid_recall_at_20"
"""Metrics of a run, by role ``original`` or ``gold``."""
LEAST_RECALL = 0.9
"""Share of the original's validation recall below which gold's is called far from it. Ours."""
MOST_TIMES = 3.0
"""How many times earlier or later gold's best epoch may be. Ours."""


def unlike(metrics: Mapping[str, float]) -> str | None:
    """What is odd about gold's training, in words; None where nothing is, or where it is not recorded."""
    wanted = [name.format(role) for name in (BEST_EPOCH, BEST_RECALL) for role in ("original", "gold")]
    if any(name not in metrics for name in wanted):
        return None
    epochs, gold_epochs, recall, gold_recall = (metrics[name] for name in wanted)
    apart = max(epochs, gold_epochs) > MOST_TIMES * max(min(epochs, gold_epochs), 1.0)
    if not apart and gold_recall >= LEAST_RECALL * recall:
        return None
    return (
        f"gold's best epoch is {gold_epochs:.0f} and the original's {epochs:.0f}, "
        f"with validation recall@20 of {gold_recall:.4f} and {recall:.4f}"
    )
