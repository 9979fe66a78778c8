"""The repair stage: ordinary training on the retain set after every method alike, owned by the pipeline.

Papers give their methods repair phases of different lengths, and then compare what is left. This
stage gives all of them the same budget, on the method's clock, whatever they repaired themselves.
Reference systems are exempt (``CellConfig.applied_repair``): repaired, they would no longer be what
the others are held against.
"""

from __future__ import annotations

from bench.train.options import RepairConfig
from models.base import Recommender
from unlearning.base import Problem, Recorder
from unlearning.reverse_repair import Repair


def repair_stage(model: Recommender, problem: Problem, config: RepairConfig, recorder: Recorder) -> None:
    """Train ``model`` in place on ``config.batches`` batches of the retain set; nothing with 0.

    The stage is one point of the trajectory, with ``loss/repair_stage`` and ``repair_stage/batches``.

    Args:
        problem: its generator should be the stage's own, so that every method meets the same batches.
    """
    if config.batches == 0:
        return
    stage = _Stage(model, problem, config.learning_rate or problem.learning_rate, batches=None)
    loss = stage.run(config.batches, recorder)
    recorder.epoch(model, {"loss/repair_stage": loss, "repair_stage/batches": float(config.batches)})


class _Stage(Repair):
    """The repair loop over a number of batches that may end within a pass or go over several."""

    def run(self, batches: int, recorder: Recorder) -> float:
        """Mean loss over ``batches`` batches."""
        in_a_pass, total, left = self.sampler.num_batches(self._batch_size), 0.0, batches
        while left:
            self._batches = min(left, in_a_pass)
            total += self.epoch(recorder) * self._batches
            left -= self._batches
        return total / batches
