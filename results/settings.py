"""Which runs belong to a place in a table: those whose parameters are what its overrides compose to.

A place in a table is defined by the overrides that would run it, so the command that fills it and the
test for what fills it cannot part. ``variant`` names a run by the overrides that set it apart from the
defaults of its labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from bench.grid import expand_each
from bench.parameters import parameters
from datasets.errors import InputError
from results.frame import CellRun

COMPARED = ("dataset", "poison", "backbone", "regime", "method", "train", "repair")
"""Groups of parameters that say what was run; seed, device, audits and the way of running do not."""

Parameters = dict[str, str]


def expected(cells: Sequence[Sequence[str]]) -> list[tuple[dict[str, str], Parameters]]:
    """Labels and compared parameters of each list of overrides. Raises ``InputError``."""
    found = []
    for config in expand_each(cells):
        labels = {
            "dataset": config.data_name,
            "backbone": config.backbone.name,
            "regime": config.regime.name,
            "method": config.method.name,
        }
        found.append((labels, compared(parameters(config))))
    return found


def compared(params: Mapping[str, object]) -> Parameters:
    """The parameters that say what was run, as MLflow writes them."""
    return {key: str(value) for key, value in params.items() if key.partition(".")[0] in COMPARED}


def differences(params: Mapping[str, str], wanted: Mapping[str, str]) -> Parameters:
    """Parameters of a run that are not as wanted, among those that both name.

    An option that did not exist when the run was made, or does not any more, is no difference.
    """
    return {key: params[key] for key in sorted(wanted) if params.get(key, wanted[key]) != wanted[key]}


def variants(runs: Iterable[CellRun]) -> dict[str, str]:
    """By run id, how its options differ from the defaults of its labels, e.g. ``gate=False``; "" for none."""
    return {run.run_id: _variant(run) for run in runs}


def _variant(run: CellRun) -> str:
    own = compared(run.params)
    try:
        wanted = _defaults(*(run.labels[key] for key in ("dataset", "backbone", "regime", "method")))
    except InputError:  # a data set or a plug-in that is not here: there is no default to compare with
        return _text({key: own[key] for key in sorted(own) if key.startswith("method.")})
    return _text(differences(own, wanted))


def _text(options: Mapping[str, str]) -> str:
    named = {key.removeprefix("method."): value for key, value in options.items() if key != "method.name"}
    return " ".join(f"{key}={value}" for key, value in named.items())


@cache
def _defaults(dataset: str, backbone: str, regime: str, method: str) -> Parameters:
    dataset, _, poison = dataset.partition("+")
    overrides = [f"dataset={dataset}", f"backbone={backbone}", f"regime={regime}", f"method={method}"]
    ((_, wanted),) = expected([[*overrides, *([f"poison={poison}"] if poison else [])]])
    return wanted
