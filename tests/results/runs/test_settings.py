"""How a run's options differ from the defaults, and the command that runs it again: options of audits."""

from __future__ import annotations

import shlex

from bench.config.compose import expand_each
from bench.record.local.parameters import parameters
from results.runs.frame import CellRun
from results.runs.settings import Defaults, command_of, variants

PLACE = ["dataset=synthetic_tiny", "backbone=lightgcn", "regime=user", "method=finetune"]
LABELS = dict(text.split("=") for text in PLACE)


def run_of(*overrides: str) -> CellRun:
    """A finished run as the store would give it."""
    (config,) = expand_each([[*PLACE, *overrides]])
    params = {key: str(value) for key, value in parameters(config).items()}
    return CellRun(" ".join(overrides), "key", "FINISHED", {**LABELS, "seed": "0"}, params, {}, {}, 1)


def test_only_options_of_audits_that_differ_set_runs_apart() -> None:
    swept = ["audit.audits=[relearn]", "audit.options.relearn.passes=7"]
    runs = [run_of(), run_of("audit=full"), run_of(*swept), run_of(*swept, "method.epochs=9")]
    found = variants(runs)
    assert [found[run.run_id] for run in runs] == [
        "",
        "",
        "audit.options.relearn.passes=7",
        "epochs=9 audit.options.relearn.passes=7",
    ]


def test_the_command_of_a_run_sets_the_options_of_its_audits_again() -> None:
    run = run_of("audit=full", "audit.audits=[trace,relearn]", "audit.options.relearn.rates=[0.5,0.25]")
    command = command_of(run, Defaults([run]))
    assert command is not None
    (again,) = expand_each([shlex.split(command)[3:]])
    assert again.audit == expand_each([[*PLACE, *run.run_id.split(" ")]])[0].audit


def test_audits_of_a_plug_in_that_is_not_here_are_no_difference() -> None:
    run = run_of("audit=full")
    run.params["audit.options.polygraph.volts"] = "3"
    assert variants([run])[run.run_id] == ""
