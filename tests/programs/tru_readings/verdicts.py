"""A verdict per claim: reproduced under which reading, or under none that was tried, or not testable."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.record.names import FORGET_RECALL
from results.runs.frame import CellRun
from tests.programs.tru_readings.claims import CAP, Claim, Role
from tests.programs.tru_readings.readings import Reading

Trials = Mapping[Role, CellRun]

NOT_HERE = {
    "TRU, Table 1 at item and interaction level; Tables 2 and 3; Figures 3, 4, 6, 8 and 9": "other requests, "
    "data sets or audits; cells of `python -m bench` measure them on test pairs",
    "TRU, Table 4, column clean after": "its definition is not printed, and it needs poisoned users",
    "MMRecUn's own tables": "no number of its own paper is known here. What a secondary page lists for it, "
    "such as a balanced accuracy of .943, repeats its rows in TRU's Tables 1 to 3 "
    "(`results/published/mmrecun_secondary.yaml`): .943 is the membership attack on MGCN and Clothing, where "
    "lower is better, and no figure of Baby",
}
"""What this study cannot say, and why."""


@dataclass(frozen=True)
class Verdict:
    """``printed`` is what the paper has, ``text`` the verdict, ``run_id`` the full method's nearest trial."""

    printed: str
    text: str
    run_id: str


def together(wanted: list[Claim]) -> dict[str, list[Claim]]:
    """The rows: each claim, those of one group, and all."""
    rows = {f"{claim.group}: {claim.title}": [claim] for claim in wanted}
    for group in dict.fromkeys(claim.group for claim in wanted):
        own = [claim for claim in wanted if claim.group == group]
        if len(own) > 1:
            rows[f"{group}, together"] = own
    return rows | ({"all of these together": wanted} if wanted else {})


def verdict(own: list[Claim], tried: Mapping[Reading, Trials]) -> Verdict:
    """On claims that one reading must reproduce together.

    Args:
        own: at least one claim.
        tried: the trials of each reading, by role.
    """
    printed = ", ".join(f"{claim.printed:.4g}" for claim in own)
    deciding = [claim for claim in own if not _lacking(claim, tried)]
    roles = {claim.role for claim in deciding}
    testable = {reading: trials for reading, trials in tried.items() if roles <= trials.keys()}
    if not deciding or not testable:
        return Verdict(printed, f"not testable here: {_why_not(own, tried)}", "-")
    distances = {reading: _distance(deciding, trials) for reading, trials in testable.items()}
    nearest = min(distances, key=lambda reading: distances[reading])
    holding = [r for r, trials in testable.items() if all(c.holds(trials[c.role].metrics) for c in deciding)]
    shown = nearest if nearest in holding or not holding else holding[0]
    ours = ", ".join(_value(claim, testable[shown]) for claim in own)
    named, count = f"{shown.in_words()} ({ours})", f"{len(testable)} readings tried"
    if holding:
        text = f"reproduced under {named}; by {len(holding)} of {count}"
    else:
        text = f"not reproducible under any of {count}; nearest: {named}"
    return Verdict(printed, text, testable[shown]["full"].run_id)


def _lacking(claim: Claim, tried: Mapping[Reading, Trials]) -> bool:
    """Whether no trial has the figure that was measured: what a backbone lacks decides nothing."""
    every = [run.metrics for trials in tried.values() for run in trials.values()]
    measured = [metrics for metrics in every if FORGET_RECALL in metrics]
    return bool(measured) and all(claim.value(metrics) is None for metrics in measured)


def _why_not(own: list[Claim], tried: Mapping[Reading, Trials]) -> str:
    roles = {claim.role for claim in own}
    if any(roles <= trials.keys() for trials in tried.values()):
        return "no trial has the figure (no trained image table, or gold was trained on another machine)"
    return "no reading came near enough to Table 1 for its ablations to be run"


def _distance(own: list[Claim], trials: Trials) -> float:
    distances = [claim.distance(trials[claim.role].metrics) for claim in own]
    return sum(min(distance, CAP) for distance in distances if distance is not None)


def _value(claim: Claim, trials: Trials) -> str:
    metrics = trials[claim.role].metrics if claim.role in trials else {}
    value = claim.value(metrics) if FORGET_RECALL in metrics else None
    return "-" if value is None else f"{value:.4g}"
