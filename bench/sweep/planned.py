"""Hydra's plug-in point for sweepers, taken by a sweep that was planned before.

Hydra composes the configuration of the sweep, sets up its callbacks and asks its sweeper what to run. Ours
knows already: it sets the chosen launcher up and leaves the rest to the ``PlannedSweep`` that Hydra
was given as the task function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext
from omegaconf import DictConfig

Task = Callable[[DictConfig], Any]


class PlannedSweep:
    """A sweep as Hydra gets it.

    Args:
        task: what runs a job; must be importable by name in another process.
        start: runs the jobs with the launcher, in as many batches as it likes.

    ``error`` is what ``start`` raised: Hydra would print it and exit.
    """

    def __init__(self, task: Task, start: Callable[[Launcher], None]) -> None:
        self.task, self.start = task, start
        self.error: Exception | None = None

    def __call__(self, config: DictConfig) -> Any:
        """Run a job, as any other task function does."""
        return self.task(config)


class PlannedSweeper(Sweeper):  # type: ignore[misc]
    """Gives the launcher to a ``PlannedSweep``.

    Args:
        params: what the sweep is over. It was read when the sweep was planned (bench/config/compose.py).
    """

    def __init__(self, params: Mapping[str, str] | None = None) -> None:
        self._params = params

    def setup(self, *, hydra_context: HydraContext, task_function: PlannedSweep, config: DictConfig) -> None:
        """Hydra's contract: remember what the launcher needs."""
        self._context, self._planned, self._config = hydra_context, task_function, config

    def sweep(self, arguments: list[str]) -> None:
        """Let the planned sweep run; ``arguments``, the overrides that Hydra was given, say nothing new."""
        try:
            launcher = Plugins.instance().instantiate_launcher(
                hydra_context=self._context, task_function=self._planned.task, config=self._config
            )
            self._planned.start(launcher)
        except Exception as error:
            self._planned.error = error
