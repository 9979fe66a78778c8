"""Which runs belong to a place in a table: those whose parameters are what its overrides compose to.

A place in a table is defined by the overrides that would run it, so the command that fills it and the
test for what fills it cannot part. ``variant`` names a run by the overrides that set it apart from the
defaults of its labels.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from bench.config.compose import expand_each
from bench.config.registry import registry
from bench.config.schema import as_json
from bench.config.source import options_of
from bench.record.local.parameters import parameters
from datasets.errors import InputError
from results.runs.at import REQUEST_PARAM, REQUEST_PARAMS
from results.runs.frame import CellRun

COMPARED = ("dataset", "poison", "backbone", "regime", "stream", "method", "train", "repair")
"""Groups of parameters that say what was run; seed, request, device and the way of running do not."""
RANKED = ("evaluate.candidates", "evaluate.users.count", "evaluate.users.seed")
"""The parameters of measuring that change what the figures of a run mean."""
AUDIT_OPTIONS = "audit.options."
"""Of audits that ran. Which ones ran is not compared: a row takes each figure from a run that has it."""
CHOSEN = ("backbone", "regime", "method")
"""Labels that are the names of configuration groups."""

Parameters = dict[str, str]


def expected(cells: Sequence[Sequence[str]]) -> list[tuple[dict[str, str], Parameters]]:
    """Labels and compared parameters of each list of overrides. Raises ``InputError``."""
    found = []
    for config in expand_each(cells):
        labels = {
            "dataset": config.data_name,
            "backbone": config.backbone.name,
            "regime": config.regime_name,
            "method": config.method.name,
        }
        found.append((labels, compared(parameters(config))))
    return found


def audit_differences(params: Mapping[str, str]) -> Parameters:
    """Options of a run's audits that are not their defaults of today; none of an audit that is not here."""
    found: Parameters = {}
    stated = {key: value for key, value in params.items() if key.startswith(AUDIT_OPTIONS)}
    for audit in {key.removeprefix(AUDIT_OPTIONS).partition(".")[0] for key in stated} & registry(
        "audit"
    ).keys():
        defaults = as_json(options_of("audit", audit)())
        wanted = {f"{AUDIT_OPTIONS}{audit}.{name}": str(value) for name, value in defaults.items()}
        found |= differences(stated, wanted)
    return dict(sorted(found.items()))


def compared(params: Mapping[str, object]) -> Parameters:
    """The parameters that say what was run, as MLflow writes them; which request it faced is none of them."""
    return {
        key: str(value)
        for key, value in params.items()
        if key in RANKED or (key.partition(".")[0] in COMPARED and key not in REQUEST_PARAMS)
    }


def differences(params: Mapping[str, str], wanted: Mapping[str, str]) -> Parameters:
    """Parameters of a run that are not as wanted, among those that both name.

    An option that did not exist when the run was made, or does not any more, is no difference.
    """
    return {key: params[key] for key in sorted(wanted) if params.get(key, wanted[key]) != wanted[key]}


class Defaults:
    """Parameters of the labels of runs with default options, as they compose today."""

    def __init__(self, runs: Iterable[CellRun]) -> None:
        self._found = _composed(dict.fromkeys(_places(run) for run in runs))

    def of(self, run: CellRun) -> Parameters | None:
        """None for a data set or a plug-in that is not here: there is no default to compare with."""
        return self._found[_places(run)]


def variants(runs: Iterable[CellRun], defaults: Defaults | None = None) -> dict[str, str]:
    """By run id, how its options differ from the defaults of its labels, e.g. ``gate=False``; "" for none."""
    runs = list(runs)
    known = defaults or Defaults(runs)
    return {run.run_id: _variant(run, known.of(run)) for run in runs}


def command_of(run: CellRun, defaults: Defaults) -> str | None:
    """The command that runs the cell of a run again by today's defaults; None where they are not here."""
    wanted = defaults.of(run)
    if wanted is None:
        return None
    options = [f"{key}={_written(value)}" for key, value in differences(compared(run.params), wanted).items()]
    audit = run.params.get("audit.name", "none")
    options += [f"{REQUEST_PARAM}={run.request}"] if run.request else []
    options += [f"audit={audit}"] if audit != "none" else []
    if audits := audit_differences(run.params):
        ran = ",".join(re.findall(r"[\w-]+", run.params.get("audit.audits", "")))
        options += [f"audit.audits=[{ran}]", *(f"{key}={_written(value)}" for key, value in audits.items())]
    return shlex.join(["python", "-m", "bench", *_places(run), *options, f"seed={run.seed}"])


def _places(run: CellRun) -> tuple[str, ...]:
    """The overrides that make the labels of a run."""
    dataset, _, poison = run.labels["dataset"].partition("+")
    regime, _, stream = run.labels["regime"].partition("+")
    groups = {"dataset": dataset, "poison": poison} | {key: run.labels[key] for key in CHOSEN}
    groups |= {"regime": regime, "stream": stream}
    return tuple(f"{key}={value}" for key, value in groups.items() if value)


def _composed(lists: Iterable[tuple[str, ...]]) -> dict[tuple[str, ...], Parameters | None]:
    """By list of overrides what it composes to. All at once is faster; one that fails must not fail all."""
    lists = list(lists)
    try:
        return {own: params for own, (_, params) in zip(lists, expected(lists), strict=True)}
    except InputError:
        return {one: _composed_alone(one) for one in lists}


@cache
def _composed_alone(overrides: tuple[str, ...]) -> Parameters | None:
    try:
        return expected([overrides])[0][1]
    except InputError:
        return None


def _variant(run: CellRun, wanted: Parameters | None) -> str:
    own, audits = compared(run.params), audit_differences(run.params)
    if wanted is None:
        return _text({key: own[key] for key in sorted(own) if key.startswith("method.")} | audits)
    return _text(differences(own, wanted) | audits)


def _text(options: Mapping[str, str]) -> str:
    named = {key.removeprefix("method."): value for key, value in options.items() if key != "method.name"}
    return " ".join(f"{key}={value}" for key, value in named.items())


def _written(value: str) -> str:
    """A recorded value as Hydra reads it."""
    return {"None": "null", "True": "true", "False": "false"}.get(value, value)
