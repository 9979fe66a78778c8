"""Taking runs out of the results, with the reason: they stay in the store, and no table counts them.

A retired run has the tag ``lethe.retired`` with the reason. Its cell counts as not finished, so that it can
be run again. Nothing is deleted; removing the tag in MLflow's pages brings a run back.
"""

from __future__ import annotations

from collections.abc import Sequence

from bench.record.names import RETIRED_TAG
from datasets.errors import InputError
from results.runs.frame import CellRun, client_of, retired, runs

SHORTEST = 6
"""Characters of a run id that may stand for it, where no other begins with them."""


def retire(uri: str, experiment: str, names: Sequence[str], reason: str) -> list[CellRun]:
    """Retire the runs of these ids (or unambiguous beginnings of ids). Raises ``InputError``."""
    if not reason.strip():
        raise InputError("--reason is empty: say why these runs are no results; it is kept with them.")
    gone = {run.run_id for run in retired(uri, experiment)}
    found = [_found(name, runs(uri, experiment), gone, experiment) for name in dict.fromkeys(names)]
    client = client_of(uri)
    for run in found:
        client.set_tag(run.run_id, RETIRED_TAG, reason.strip())
    return found


def _found(name: str, known: Sequence[CellRun], gone: set[str], experiment: str) -> CellRun:
    if any(run_id.startswith(name) for run_id in gone) and len(name) >= SHORTEST:
        raise InputError(f"run={name} is retired already: name runs that still count.")
    same = [run for run in known if run.run_id.startswith(name)] if len(name) >= SHORTEST else []
    if len(same) == 1:
        return same[0]
    problem = "is not the id of a cell's run" if not same else f"is the beginning of {len(same)} run ids"
    raise InputError(
        f"run={name} {problem} in experiment {experiment}: python -m results explain names the runs of a "
        "number."
    )
