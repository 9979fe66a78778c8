"""The identification study of TRU: run it, and make its page from the runs.

    python -m tests.programs.tru_readings run dataset=baby,baby_wide backbone=mgcn,mig_gt --budget 150
    python -m tests.programs.tru_readings page --dataset baby --dataset baby_wide \\
        --out docs/results/tru-readings.md

``run`` takes overrides as ``python -m bench -m`` does and goes through their settings one after the other,
users forgotten, on request 0. The budget counts the trials of the search in each setting; the limits come
on top. Killed, the same command goes on; a larger budget runs what it adds; run.dry=true starts nothing, nor
does ``page``.

Exit codes: 0 done, 1 there is nothing to show, 2 the input is wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from bench.config.compose import expand_grid
from bench.config.overrides.stated import stated_options
from bench.disk.files import write_text
from bench.planning.planner import PlannedCell, Planner
from bench.planning.rehearsal import rehearse
from datasets.errors import InputError

DONE, NOTHING, USER_ERROR, INTERRUPTED = 0, 1, 2, 130
STORE, EXPERIMENT = "sqlite:///mlflow.db", "lethe"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    options = parser().parse_intermixed_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        return _run(options) if options.verb == "run" else _page(options)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except KeyboardInterrupt:
        print("interrupted: finished trials are kept; the same command runs the rest", file=sys.stderr)
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """The command line."""
    found = argparse.ArgumentParser(
        prog="python -m tests.programs.tru_readings",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    found.add_argument("verb", choices=("run", "page"))
    found.add_argument("overrides", nargs="*", help="of run: settings, as for python -m bench -m")
    found.add_argument("--budget", type=int, default=150, help="of run: trials of each search (%(default)s)")
    found.add_argument("--against", help="data set whose printed numbers count (default: the own one's)")
    default = os.environ.get("MLFLOW_TRACKING_URI", STORE)
    found.add_argument("--uri", default=default, help="of page: MLflow store (%(default)s)")
    found.add_argument("--experiment", default=EXPERIMENT, help="of page: of the cells (%(default)s)")
    found.add_argument("--dataset", action="append", help="of page: only this data set (repeatable)")
    found.add_argument("--out", type=Path, help="of page: file to write (default: standard output)")
    return found


def _run(options: argparse.Namespace) -> int:
    from tests.programs.tru_readings.study import Study

    if options.budget < 1:
        raise InputError(f"--budget={options.budget} leaves nothing to search: give 1 or more.")
    grid = expand_grid(options.overrides, True)
    for config, stated in zip(grid.configs, grid.overrides, strict=True):
        if (config.method.name, config.regime.name) != ("tru", "user") or stated_options(stated):
            raise InputError(
                f"{config.label} is no setting of the study, which sets the options of method=tru itself and "
                "forgets users: leave method and regime out."
            )
    cells = [Planner(one=True).plan(config) for config in grid.configs]
    if cells[0].config.run.dry:
        for cell in cells:
            print(_state(cell))
        return DONE
    rehearse(cells)
    for cell in cells:
        Study(cell, options.budget, options.against).run()
    return DONE


def _state(cell: PlannedCell) -> str:
    """What the store and the cache hold of a setting. Starts nothing."""
    from tests.programs.tru_readings.record import settings

    config = cell.config
    place = config.data_name, config.backbone.name
    found = settings(config.tracking.uri, config.tracking.experiment, [config.data_name])
    done = sum(len(setting.runs) for setting in found if (setting.dataset, setting.backbone) == place)
    missing = sum(not there for there in cell.cached_models().values())
    return f"{config.label}: {done} trials recorded, {missing} models to train. Nothing was started."


def _page(options: argparse.Namespace) -> int:
    from tests.programs.tru_readings.page import page
    from tests.programs.tru_readings.record import settings

    found = settings(options.uri, options.experiment, options.dataset)
    if not found:
        print(f"no trial of the study in experiment {options.experiment} of {options.uri}", file=sys.stderr)
        return NOTHING
    text = page(found, options.against)
    if options.out is None:
        print(text, end="")
    else:
        write_text(options.out, text)
    return DONE


if __name__ == "__main__":
    # As in bench/__main__.py: read when torch is imported, so set before.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(main())
