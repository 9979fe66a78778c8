"""Handing the jobs of a sweep to Hydra's launcher: first the missing models, then the cells.

The cells are composed and checked before (``bench/config/compose.py``): through Hydra's sweeper
(``bench/sweep/planned.py``) the chosen launcher gets exactly the jobs that are due. A launcher that trains
models side by side gets one job per missing model first, so that no worker waits for another one's training.
"""

from __future__ import annotations

import importlib.util
import logging
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor

import hydra
from hydra.core.utils import JobStatus
from hydra.plugins.launcher import Launcher

from bench.arguments import run_application
from bench.config.compose import CONFIG_DIR, CONFIG_NAME
from bench.config.schema import CellConfig
from bench.planning.planner import PlannedCell
from bench.sweep.planned import PlannedSweep, Task
from datasets.errors import InputError

log = logging.getLogger(__name__)

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
        cached = cell.cached_models()
        for role, key in cell.model_keys().items():
            if not cached[role]:
                wanted.setdefault(key, [*job, f"run.stage={role}"])
    return list(wanted.values())


class JobLauncher:
    """The launcher of a sweep, for all its batches."""

    def __init__(self, launcher: Launcher) -> None:
        self._launcher = launcher
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
        return True


def launch(shared: Sequence[str], task: Task, start: Callable[[JobLauncher], None]) -> None:
    """Have Hydra set up the launcher of a sweep, and ``start`` run its jobs with it.

    Args:
        shared: overrides that hold for the whole sweep, the choice of the launcher among them.
        task: what runs a job; must be importable by name in another process.
    """
    planned = PlannedSweep(task, lambda launcher: start(JobLauncher(launcher)))
    application = hydra.main(config_path=str(CONFIG_DIR), config_name=CONFIG_NAME, version_base="1.3")(
        planned
    )
    code = run_application(application, ["--multirun", *shared])
    if planned.error is not None:
        raise planned.error
    if code:
        raise RuntimeError(f"Hydra ended the sweep with exit code {code}")
