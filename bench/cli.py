"""The command line: plan, refuse what is wrong, run what is missing, show the table.

Exit codes: 0 all cells finished, 1 a cell failed, 2 the user's input is wrong, 130
interrupted (128 + the number of the signal that stopped it).
"""

from __future__ import annotations

import argparse
import logging
import shlex
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import hydra
from omegaconf import DictConfig

from bench.arguments import in_one_piece, parsed, run_application
from bench.config.compose import CONFIG_DIR, CONFIG_NAME, Grid, expand_grid, plain
from bench.config.schema import CellConfig, parse_cell
from bench.config.tuned import REMARKS
from bench.disk.locks import held
from bench.disk.space import is_disk_full
from bench.machine.process import prepare_process
from bench.machine.signals import exit_code, stopping
from bench.planning.dry import print_plan
from bench.planning.planner import PlannedCell, Planner
from bench.planning.rehearsal import rehearse
from bench.record.local import spool
from bench.record.local.faults import StoreAway
from bench.record.local.reach import require
from bench.sweep.launch import check_launcher
from bench.sweep.orphans import announce, watch_command
from datasets.errors import InputError

if TYPE_CHECKING:
    from bench.sweep.sweep import EndedSweep

Presenter = Callable[["EndedSweep"], None]
log = logging.getLogger(__name__)

USER_ERROR, CELL_FAILED = 2, 1
AWAY = "what is finished is kept, and the same command sends it and runs the rest once the store answers"


def main(arguments: Sequence[str] | None = None, present: Presenter | None = None) -> int:
    """Run the command line; the exit code. ``present`` is told of a sweep that has ended."""
    argv = list(sys.argv[1:] if arguments is None else arguments)
    command = shlex.join(["python", "-m", "bench", *argv])
    known = parsed(argv)
    argv = in_one_piece(argv, known.overrides)
    try:
        with stopping():
            return _main(argv, known, command, present)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except StoreAway as error:
        print(f"error: {error}; {AWAY}", file=sys.stderr)
        return CELL_FAILED
    except KeyboardInterrupt as interrupt:
        print("interrupted: what is finished is kept; the same command runs the rest", file=sys.stderr)
        return exit_code(interrupt)
    except Exception as error:
        if not is_disk_full(error):
            raise
        print(f"error: the disk is full: {_disk_full_advice(error)}", file=sys.stderr)
        return CELL_FAILED


def _main(argv: list[str], known: argparse.Namespace, command: str, present: Presenter | None) -> int:
    if known.help or known.hydra_help or known.info or known.shell_completion:
        return run_application(cell_job, argv)
    grid = expand_grid(known.overrides, known.multirun, known.config_dir)
    if not grid.multirun:
        argv += grid.added[0]
    if known.cfg:
        return run_application(cell_job, argv)
    cells = planned(grid)
    if cells[0].config.run.dry:
        if due := [cell for cell in cells if cell.is_due()]:
            rehearse(due)  # the dry run refuses what the run refuses
        print_plan(cells)
        return 0
    return run_planned(argv, grid, cells, command, present)


def planned(grid: Grid) -> list[PlannedCell]:
    """The cells of a grid, checked and looked up. Raises ``InputError``."""
    prepare_process(any(config.run.deterministic for config in grid.configs))
    check_launcher(grid.configs[0])
    announce()
    _reach(grid.configs[0])
    planner = Planner()
    cells = [planner.plan(config) for config in grid.configs]
    _warn_of_tuning(cells)
    return cells


def _warn_of_tuning(cells: Sequence[PlannedCell]) -> None:
    """Say what has to be said about tuned options, before anything is started."""
    for remark, why in REMARKS.items():
        own = [cell.config.label for cell in cells if remark in cell.remarks]
        if own:
            more = f" and {len(own) - 1} more" if len(own) > 1 else ""
            print(f"warning: {own[0]}{more}: {remark}: {why}", file=sys.stderr)


def _reach(config: CellConfig) -> None:
    """Pass where the store answers, once it has what was kept for it. Raises ``InputError``,
    ``StoreAway``.
    """
    tracking = config.tracking
    require(tracking.uri, writing=not config.run.dry)
    if not config.run.dry and spool.waiting(tracking):
        from bench.record.sending import flush

        sent = flush(tracking).sent
        print(f"{sent} finished records that were kept in {tracking.spool} are in the store", file=sys.stderr)


def run_planned(
    argv: list[str], grid: Grid, cells: list[PlannedCell], command: str, present: Presenter | None = None
) -> int:
    """Run what is due of planned cells and print the sweep's table; the exit code."""
    due = [cell for cell in cells if cell.is_due()]
    if due:
        rehearse(due)
    from bench.sweep.sweep import Sweep

    cancels_itself = cells[0].config.launch.name == "ray"
    with stopping(interrupt=not cancels_itself), Sweep(cells, command) as sweep:
        if due and grid.multirun:
            with sweep.watched():
                sweep.launch(grid.overrides, grid.shared, cell_task)
        elif due:
            with sweep.watched():
                run_application(cell_job, argv)
    code = sweep.report()
    if present is not None and cells[0].config.tracking.refresh and (due or len(cells) > 1):
        _present(present, sweep.ended())
    return code


def _present(present: Presenter, ended: EndedSweep) -> None:
    """What goes wrong here, whatever it is, must not touch the outcome of a sweep that is recorded."""
    try:
        present(ended)
    except Exception as error:
        log.debug("presenting failed", exc_info=error)
        print(
            f"warning: MLflow's pages could not be brought up to date ({type(error).__name__}: "
            f"{_first_line(error)}); all results are recorded, and python -m results refresh makes the pages",
            file=sys.stderr,
        )


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "no message")


@hydra.main(config_path=str(CONFIG_DIR), config_name=CONFIG_NAME, version_base="1.3")  # type: ignore[untyped-decorator]
def cell_job(config: DictConfig) -> Any:
    """One cell, as a Hydra application."""
    return cell_task(config)


def cell_task(config: DictConfig) -> str:
    """One job, in whatever process: a cell, or the training of a model that cells need.

    A cell is skipped where it is finished, also by another process meanwhile, and recorded as failed
    where it fails. Other cells go on after a failure; the sweep's report lists it.
    """
    settings = parse_cell(plain(config))
    prepare_process(settings.run.deterministic)
    watch_command()
    try:
        cell = Planner(one=True).plan(settings)
        if settings.run.stage != "cell":
            _train(cell)
            return "trained"
        with held(spool.lock_of(settings.tracking, f"cell-{cell.keys.cell}"), settings.label):
            return _run_once(Planner(one=True).plan(settings))
    except Exception as error:
        if is_disk_full(error):
            log.error("stopped: %s: the disk is full: %s", settings.label, _disk_full_advice(error))
        elif isinstance(error, StoreAway):
            log.error("stopped: %s: %s; %s", settings.label, error, AWAY)
        else:
            log.exception("failed: %s", settings.label)
        return f"failed: {error}"


def _run_once(cell: PlannedCell) -> str:
    if not cell.is_due():
        log.info("already finished: %s", cell.config.label)
        return "finished before"
    if cell.stream is not None:
        from bench.stream.run import run_stream

        run_stream(cell)
    else:
        from bench.cell.run import run_cell

        run_cell(cell)
    return "finished"


def _train(cell: PlannedCell) -> None:
    """Train the model that ``run.stage`` names."""
    if cell.stream is not None:
        from bench.stream.run import train_stream_model

        train_stream_model(cell)
    else:
        from bench.cell.run import train_model

        train_model(cell)


def _disk_full_advice(error: BaseException) -> str:
    cause = error.strerror if isinstance(error, OSError) else "the MLflow database cannot grow"
    return f"{cause}; nothing finished is lost: free some space and start the same command again"
