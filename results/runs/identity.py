"""What a row may average: runs of one data set and one code of the method, nothing else in silence.

Runs carry the keys of their data and request and digests of the code that made them
(``bench.planning.code``). A method's (or backbone's) own code is one in every row: today's where a run has
it, else that of the latest run; runs of other code are left out and counted. Code of the harness may differ
within a row: runs of today's are preferred, and what is left of other code is flagged. Data that differ are
refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache

from bench.config.tuned import REMARKS
from bench.planning.code import AUDIT, audit_part, code_today
from bench.record.names import CODE_TAG, DATA_KEY_TAG, REQUEST_KEY_TAG, TUNED_REMARKS_TAG
from datasets.errors import InputError
from results.runs.frame import CellRun

OWN = ("method", "backbone")
OLDER, UNRECORDED, HARNESS, REQUESTS = (
    "older code",
    "code not recorded",
    "other harness code",
    "other request",
)
FLAGS = {
    OLDER: "the code of method or backbone is not today's; such rows take no mark",
    UNRECORDED: "the runs were made before code was recorded",
    HARNESS: "runs were trained or measured by code of the harness that differs between them or from today's",
    REQUESTS: "requests with the same seed differ: a request file or the code that draws was changed",
    **REMARKS,
}
"""What each flag of a row means."""
AUDITS = "audit/"
MOST_NAMED = 3


@dataclass(frozen=True)
class Chosen:
    """The runs of a row, those left out, and what has to be said about them.

    ``runs`` are in the order in which a later one replaces an earlier one of the same request and seed.
    """

    runs: tuple[CellRun, ...]
    left_out: tuple[CellRun, ...] = ()
    flags: tuple[str, ...] = field(default=())


def chosen(runs: Sequence[CellRun]) -> Chosen:
    """What of the finished runs of one method with the same options makes its row."""
    ordered = sorted(runs, key=lambda run: (_is_todays(run, _harness_parts(run)), run.ended, run.run_id))
    own = [run for run in ordered if own_code(run) == "today"]
    if not own:
        latest = max(ordered, key=lambda run: (run.ended, run.run_id))
        own = [run for run in ordered if _own(run) == _own(latest)]
    kept = {run.run_id for run in own}
    return Chosen(tuple(own), tuple(run for run in ordered if run.run_id not in kept), tuple(_flags(own)))


def own_code(run: CellRun) -> str:
    """``today`` where method and backbone are as they are now (or not here to compare), ``older``, or
    ``unrecorded``."""
    if any(CODE_TAG + part not in run.tags for part in OWN):
        return "unrecorded"
    return "today" if _is_todays(run, OWN) else "older"


def audit_flag(metric: str, runs: Iterable[CellRun]) -> bool:
    """Whether an audit's figures are of audit code that differs between the runs or from today's."""
    if not metric.startswith(AUDITS):
        return False
    part = audit_part(metric.removeprefix(AUDITS).partition("/")[0])
    recorded = [run for run in runs if CODE_TAG + part in run.tags]
    digests = {run.tags[CODE_TAG + part] for run in recorded}
    return len(digests) > 1 or not all(_is_todays(run, (part,)) for run in recorded)


def refuse_other_data(rows: Iterable[Sequence[CellRun]]) -> None:
    """Raise ``InputError`` where runs of one setting have the same data options and other data.

    Args:
        rows: the runs of each row of one setting.
    """
    found: dict[tuple[str, ...], dict[str, list[CellRun]]] = {}
    for run in (run for row in rows for run in row):
        if DATA_KEY_TAG in run.tags:
            options = tuple(f"{k}={v}" for k, v in sorted(run.params.items()) if k.startswith(_DATA))
            keys = found.setdefault((run.labels["dataset"], *options), {})
            keys.setdefault(run.tags[DATA_KEY_TAG], []).append(run)
    for (dataset, *_), keys in found.items():
        if len(keys) > 1:
            sides = "; ".join(f"data key {key[:8]}: {_named(own)}" for key, own in sorted(keys.items()))
            raise InputError(
                f"dataset={dataset} was not the same for all runs ({sides}), and no row averages or compares "
                "different data: take one side out with python -m results retire RUN --reason TEXT."
            )


_DATA = ("dataset.", "poison.")


def _named(runs: Sequence[CellRun]) -> str:
    names = ", ".join(run.run_id for run in runs[:MOST_NAMED])
    more = len(runs) - MOST_NAMED
    return f"runs {names}" + (f" and {more} more" if more > 0 else "")


def _flags(runs: Sequence[CellRun]) -> list[str]:
    """What holds for the runs that count: the last of each request and seed."""
    last = list({run.at: run for run in runs}.values())
    states = {own_code(run) for run in last}
    found = [OLDER] if "older" in states else []
    if "unrecorded" in states:
        found.append(UNRECORDED)
    elif len({_harness(run) for run in last}) > 1 or not all(_is_todays(r, _harness_parts(r)) for r in last):
        found.append(HARNESS)
    requests = {(run.request, run.tags.get(REQUEST_KEY_TAG)) for run in last}
    if len(requests) > len({run.request for run in last}):
        found.append(REQUESTS)
    said = {remark for run in last for remark in run.tags.get(TUNED_REMARKS_TAG, "").split("; ")}
    return found + [remark for remark in REMARKS if remark in said]


def _parts(run: CellRun) -> tuple[str, ...]:
    """Parts whose code a run recorded."""
    return tuple(name.removeprefix(CODE_TAG) for name in sorted(run.tags) if name.startswith(CODE_TAG))


def _harness_parts(run: CellRun) -> tuple[str, ...]:
    """The stages of the harness; audits concern their own figures only."""
    return tuple(part for part in _parts(run) if part not in OWN and not part.startswith(AUDIT))


def _own(run: CellRun) -> tuple[str | None, ...]:
    return tuple(run.tags.get(CODE_TAG + part) for part in OWN)


def _harness(run: CellRun) -> tuple[str, ...]:
    return tuple(f"{part}={run.tags[CODE_TAG + part]}" for part in _harness_parts(run))


def _is_todays(run: CellRun, parts: Iterable[str]) -> bool:
    return all(run.tags[CODE_TAG + p] == (_today(p, run) or run.tags[CODE_TAG + p]) for p in parts)


def _today(part: str, run: CellRun) -> str | None:
    return _code_today(part, run.labels["method"], run.labels["backbone"])


@cache
def _code_today(part: str, method: str, backbone: str) -> str | None:
    return code_today(part, {"method": method, "backbone": backbone})
