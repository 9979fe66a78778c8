"""Hydra launcher that hands each job to Ray as a task with its share of cores and GPUs.

Ray leases the GPUs, spreads the tasks over the machines of its cluster and starts a task again whose
worker was lost. Nothing is scheduled here. Importing this module does not import Ray.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.singleton import Singleton
from hydra.core.utils import JobReturn, JobStatus, run_job, setup_globals
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, open_dict

from datasets.errors import InputError

log = logging.getLogger(__name__)

PASSED_ON = ("MLFLOW_", "LETHE_", "OMP_WAIT_POLICY", "MKL_CBWR")
"""Environment variables with these prefixes reach the workers: configurations refer to them."""
GRACE_SECONDS = 3.0
"""For interrupted tasks to record that they were killed, before they are forced."""


@dataclass(frozen=True)
class Sweep:
    """What all jobs of a sweep share; travels to the workers once."""

    context: HydraContext
    config: DictConfig
    task: TaskFunction
    singletons: dict[Any, Any]
    folder: str
    environment: dict[str, str]


class RayLauncher(Launcher):  # type: ignore[misc]
    """Runs jobs on Ray.

    Args:
        address: of a cluster; None starts Ray on this machine for the time of the sweep.
        cpus: cores that a job leases.
        gpus: GPUs that a job leases; may be a fraction.
        retries: how often a job is started again whose worker was lost.
        total_cpus: cores that Ray started on this machine offers; None: all.
        total_gpus: GPUs that it offers; None: all that Ray finds.
    """

    def __init__(
        self,
        address: str | None,
        cpus: int,
        gpus: float,
        retries: int,
        total_cpus: int | None = None,
        total_gpus: int | None = None,
    ) -> None:
        self._address = address
        self._lease = {"num_cpus": cpus, "num_gpus": gpus, "max_retries": retries}
        self._offer = {"num_cpus": total_cpus, "num_gpus": total_gpus}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        """Hydra's contract: remember what the jobs need."""
        self._context, self._task, self._config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        """Run the jobs; returns when all have ended, lost ones included (as failed)."""
        import ray

        setup_globals()
        self._connect()
        Path(str(self._config.hydra.sweep.dir)).mkdir(parents=True, exist_ok=True)
        environment = {k: v for k, v in os.environ.items() if k.startswith(PASSED_ON)}
        state, folder = Singleton.get_state(), str(Path.cwd())
        sweep = ray.put(Sweep(self._context, self._config, self._task, state, folder, environment))
        run = ray.remote(**self._lease)(run_in_worker)
        tasks = [
            run.remote(sweep, list(overrides), initial_job_idx + position)
            for position, overrides in enumerate(job_overrides)
        ]
        try:
            return [_result(task) for task in tasks]
        except KeyboardInterrupt:
            _cancel(tasks)
            raise

    def _connect(self) -> None:
        import ray

        if ray.is_initialized():
            return
        offer: dict[str, Any] = {}  # a cluster brings its own resources
        # An address is given in any case: otherwise RAY_ADDRESS decides.
        address = self._address or "local"
        if self._address is None:
            offer = {**self._offer, "include_dashboard": False}
        try:
            _knock(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING, **offer)
        except OSError as error:
            raise InputError(
                f"launch.address={self._address} is not answered by a Ray cluster: start one with ray start, "
                "or leave it null."
            ) from error


def _knock(address: str) -> None:
    """Raise ``OSError`` at once where nobody listens: Ray itself would try for minutes."""
    host, _, port = address.rpartition("//")[2].rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def run_in_worker(sweep: Sweep, overrides: list[str], index: int) -> JobReturn:
    """One job in a Ray worker, in the folder and with the settings of the process that launched it."""
    _enter(sweep.folder, sweep.environment)
    setup_globals()
    Singleton.set_state(sweep.singletons)
    config = sweep.context.config_loader.load_sweep_config(sweep.config, overrides)
    with open_dict(config):
        config.hydra.job.id = f"{config.hydra.job.name}_{index}"
        config.hydra.job.num = index
    HydraConfig.instance().set_config(config)
    return run_job(
        hydra_context=sweep.context,
        config=config,
        task_function=sweep.task,
        job_dir_key="hydra.sweep.dir",
        job_subdir_key="hydra.sweep.subdir",
    )


def _enter(folder: str, environment: Mapping[str, str]) -> None:
    if not Path(folder).is_dir():
        raise FileNotFoundError(
            f"{folder} does not exist on {socket.gethostname()}: a sweep over several machines "
            "is started in a folder that all of them share"
        )
    os.chdir(folder)
    os.environ.update(environment)


def _result(task: Any) -> JobReturn:
    """What a task returned; a failed ``JobReturn`` where its workers were lost."""
    import ray

    try:
        done: JobReturn = ray.get(task)
    except ray.exceptions.RayError as error:
        done = JobReturn(status=JobStatus.FAILED)
        done.return_value = error
    return done


def _cancel(tasks: Sequence[Any]) -> None:
    import ray

    for task in tasks:
        ray.cancel(task)
    ray.wait(list(tasks), num_returns=len(tasks), timeout=GRACE_SECONDS)
    for task in tasks:
        ray.cancel(task, force=True)
