"""python -m bench.tune: find a method's options for one setting, on validation data alone.

    python -m bench.tune method=tru budget=20 dataset=baby backbone=mgcn regime=user
    python -m bench.tune -m method=tru,mmrecun regime=user,item     # one tune after the other
    python -m bench.tune method=tru target=proxy                    # gold-free tuning
    python -m bench.tune method=tru run.dry=true                    # space and what is finished

Its own options are those of conf/tune.yaml; everything else is composed as for python -m bench. Options of
the method that are given here stay fixed. It tunes on deletion request 0; other requests are for reporting.
The same command goes on where it was stopped. docs/tuning.md says what is selected and why.

Exit codes: 0 tuned, 1 every trial diverged, 2 the user's input is wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import Any

import yaml

from bench.arguments import parsed
from bench.config.compose import expand_grid
from bench.config.overrides.grammar import parsed as parsed_override
from bench.config.overrides.stated import stated_options
from bench.config.schema import CONFIG_DIR, CellConfig, build
from bench.config.space import search_space
from bench.machine.process import prepare_process
from bench.machine.signals import exit_code, stopping
from bench.planning.planner import Planner
from bench.planning.rehearsal import rehearse
from bench.record.local.faults import StoreAway
from bench.record.local.reach import require
from bench.tune.loop import TuneConfig, Tuning
from bench.tune.record import recorded_trials
from bench.tune.report import print_plan
from datasets.errors import InputError

DONE, ALL_DIVERGED, USER_ERROR = 0, 1, 2
TUNED_REQUEST = 0
"""``regime.seed`` of the one deletion request on which options are chosen."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; the exit code."""
    known = parsed(sys.argv[1:] if arguments is None else arguments)
    if known.help:
        print(__doc__)
        return DONE
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    try:
        with stopping():
            return _main(known)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return USER_ERROR
    except StoreAway as error:
        print(f"error: {error}; the same command goes on once the store answers", file=sys.stderr)
        return ALL_DIVERGED
    except KeyboardInterrupt as interrupt:
        print("interrupted: finished trials are kept; the same command runs the rest", file=sys.stderr)
        return exit_code(interrupt)


def _main(known: argparse.Namespace) -> int:
    plan, overrides = own_options(known.overrides)
    grid = expand_grid(overrides, known.multirun, known.config_dir)
    prepare_process(any(config.run.deterministic for config in grid.configs))
    require(grid.configs[0].tracking.uri, writing=not grid.configs[0].run.dry)
    tunings = [
        prepared(config, stated_options(stated), plan, known.config_dir)
        for config, stated in zip(grid.configs, grid.overrides, strict=True)
    ]
    return max([_tune(tuning) for tuning in tunings])


def own_options(overrides: Sequence[str]) -> tuple[TuneConfig, list[str]]:
    """The tune's own options (conf/tune.yaml under the command line), and the other overrides."""
    values: dict[str, Any] = yaml.safe_load((CONFIG_DIR / "tune.yaml").read_text(encoding="utf-8"))
    others, names = [], set(values)
    for text in overrides:
        override = parsed_override(text)
        if override.key_or_group not in names:
            others.append(text)
        elif override.is_sweep_override():
            raise InputError(f"{text} names several values: a tune takes one.")
        else:
            values[override.key_or_group] = override.value()
    plan = build(TuneConfig, values, "")
    plan.check()
    return plan, others


def prepared(
    config: CellConfig, fixed: Sequence[str], plan: TuneConfig, config_dir: str | None = None
) -> Tuning:
    """The tune of a cell's setting, checked against its data and looked up. Raises ``InputError``.

    Args:
        config: the cell.
        fixed: options of the method that are not searched.
        plan: budget, sampler and selection rule.
        config_dir: an extra folder of configurations.
    """
    if config.tuned:
        raise InputError(
            "tuned=true has no meaning for bench.tune, whose first trial is the defaults: leave it out."
        )
    if config.regime.seed != TUNED_REQUEST:
        raise InputError(
            f"regime.seed={config.regime.seed} is not tuned on: options are chosen on deletion request "
            f"{TUNED_REQUEST}, and other requests are for reporting. Leave regime.seed out."
        )
    if config.stream.streams:
        raise InputError(
            f"stream={config.stream.name} has no meaning for bench.tune, whose trials face one request: "
            "choose stream=none."
        )
    space = search_space(config.method.name, config_dir)
    searched = {option: entry for option, entry in space.items() if option not in fixed}
    if not searched:
        raise InputError(
            f"every option in conf/search/{config.method.name}.yaml is given: leave one to search."
        )
    cell = Planner(one=True).plan(config)
    recorded = recorded_trials(config.tracking)
    return Tuning(cell, searched, sorted(set(fixed)), plan, recorded)


def _tune(tuning: Tuning) -> int:
    rehearse([tuning.cell])
    if tuning.config.run.dry:
        print_plan(tuning)
        return DONE
    from bench.tune.run import run_tune

    return DONE if run_tune(tuning) else ALL_DIVERGED


if __name__ == "__main__":
    sys.exit(main())
