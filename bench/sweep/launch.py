"""Handing the jobs of a sweep to Hydra's launcher: first the missing models, then the cells.

The cells are composed and checked before (``bench/config/compose.py``), so there is no sweeper to ask: the
chosen launcher gets exactly the jobs that are due. A launcher that trains models side by side gets one job
per missing model first, so that no worker waits for another one's training.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor
from typing import Any

from hydra._internal.callbacks import Callbacks
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.global_hydra import GlobalHydra
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, RunMode
from omegaconf import DictConfig

from bench.config.compose import CONFIG_DIR, CONFIG_NAME
from bench.config.schema import CellConfig
from bench.plan.planner import PlannedCell
from datasets.errors import InputError

log = logging.getLogger(__name__)

Task = Callable[[DictConfig], Any]
Job = list[str]


def check_launcher(config: CellConfig) -> None:
    """Refuse a launcher that cannot work. Raises ``InputError``."""
    launch = config.launch
    if launch.name == "slurm" and shutil.which("srun") is None:
        raise InputError(
            "launch=slurm finds no srun here: start from a login node, or try launch=slurm_local."
        )
    if launch.name != "ray":
        return
    if launch.gpus == 0 and config.device.startswith("cuda"):
        raise InputError(
            f"device={config.device} with launch.gpus=0 leases no GPU to a cell: "
            "set launch.gpus=1 or a fraction."
        )
    if importlib.util.find_spec("ray") is None:
        raise InputError("launch=ray needs the package ray: install it with pip install -e '.[ray]'.")


def model_jobs(cells: Sequence[PlannedCell], jobs: Sequence[Job]) -> list[Job]:
    """One job per model that is missing and needed, in the order of the cells that need it."""
    wanted: dict[str, Job] = {}
    for cell, job in zip(cells, jobs, strict=True):
        for (role, key), cached in zip(cell.model_keys().items(), cell.cached_models(), strict=True):
            if not cached:
                wanted.setdefault(key, [*job, f"run.stage={role}"])
    return list(wanted.values())


class JobLauncher:
    """The launcher of a sweep, set up once for all its batches.

    Args:
        shared: overrides that hold for the whole sweep, the choice of the launcher among them.
        task: what runs a job; must be importable by name in another process.
    """

    def __init__(self, shared: Sequence[str], task: Task) -> None:
        GlobalHydra.instance().clear()
        hydra = Hydra.create_main_hydra2(CONFIG_NAME, create_config_search_path(str(CONFIG_DIR)))
        self._config = hydra.compose_config(
            CONFIG_NAME, list(shared), run_mode=RunMode.MULTIRUN, with_log_configuration=True
        )
        context = HydraContext(config_loader=hydra.config_loader, callbacks=Callbacks(self._config))
        self._launcher = _launcher(self._config, context, task)
        self._started = 0

    def run(self, jobs: Sequence[Job]) -> bool:
        """Run jobs and wait for them; whether no worker was lost on the way."""
        if not jobs:
            return True
        first, self._started = self._started, self._started + len(jobs)
        try:
            for job, done in zip(jobs, self._launcher.launch(jobs, initial_job_idx=first), strict=True):
                if done.status != JobStatus.COMPLETED:
                    log.error("a job could not be run: %s: %r", " ".join(job), done._return_value)
        except BrokenExecutor as error:
            log.warning("a worker process was lost (killed, or out of memory): %s", error)
            return False
        finally:
            GlobalHydra.instance().clear()
        return True


def _launcher(config: DictConfig, context: HydraContext, task: Task) -> Launcher:
    target = str(config.hydra.launcher._target_)
    if target.startswith("bench."):
        # Hydra makes plugins only of classes in the package hydra_plugins; ours live with their harness.
        from bench.sweep.ray import RayLauncher

        options = {key: value for key, value in config.hydra.launcher.items() if key != "_target_"}
        launcher: Launcher = RayLauncher(**options)
        launcher.setup(hydra_context=context, task_function=task, config=config)
        return launcher
    return Plugins.instance().instantiate_launcher(hydra_context=context, task_function=task, config=config)
