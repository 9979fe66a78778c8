"""The study's page, from its runs alone: limits, factors, the nearest readings, a verdict per claim."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from bench.record.names import FORGET_RECALL, VALID_RECALL
from bench.tune.record import GOLD_FORGET_RECALL, GOLD_VALID_RECALL, SECONDS
from results.formats.markdown import to_markdown
from results.names.titles import TITLES
from results.runs.frame import CellRun
from results.tables.text_table import Text, TextTable
from tests.programs.tru_readings.claims import (
    CAP,
    Claim,
    Role,
    claims,
    forget,
    kept,
    misfit,
    moved,
    speed_up,
)
from tests.programs.tru_readings.names import printed_as
from tests.programs.tru_readings.readings import (
    ALL_ZERO,
    EDGES_REMOVED,
    FACTORS,
    WITHOUT_GATE,
    ZERO_AND_REVERSED,
    Reading,
)
from tests.programs.tru_readings.record import Setting
from tests.programs.tru_readings.verdicts import NOT_HERE, together, verdict

SHOWN = 5
"""Readings listed per setting."""
FIGURES = ("forget recall@20", "valid recall@20", "utility kept", "image shift / gold's", "times faster")


def page(found: Sequence[Setting], against: str | None) -> str:
    """Markdown.

    Args:
        found: the settings, at least one.
        against: data set whose printed numbers count; None: the one that each setting stands for.
    """
    parts = [
        HEAD.format(settings="\n".join(f"- {_about(setting)}" for setting in found)),
        "## Limits",
        LIMITS,
    ]
    for setting in found:
        parts += [to_markdown(_limits(setting)), _gate_limit(setting, against)]
    parts += ["## Factors", FACTORS_TEXT]
    for setting in found:
        parts += [to_markdown(_factors(setting, _wanted(setting, against)))]
        parts += [to_markdown(_nearest(setting, _wanted(setting, against)))]
    parts += ["## Verdicts", VERDICTS]
    parts += [to_markdown(_verdicts(setting, _wanted(setting, against))) for setting in found]
    parts += ["Not testable here:", "\n".join(f"- {what}: {why}" for what, why in NOT_HERE.items())]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def name_of(setting: Setting) -> str:
    """For people."""
    titles = (TITLES.get(label, label) for label in (setting.dataset, setting.backbone))
    return ", ".join(titles)


def _about(setting: Setting) -> str:
    seconds = sum(run.metrics[SECONDS] for run in setting.runs)
    request, seed = setting.runs[0].params["regime.seed"], setting.runs[0].seed
    others = f", {setting.left_out} of other code or models left out" if setting.left_out else ""
    return (
        f"{name_of(setting)}, request {request}, training seed {seed}: {len(setting.runs)} trials, "
        f"{len(setting.limits)} of them limits, {len(setting.tried)} readings, budget {setting.budget}, "
        f"{seconds:,.0f} s{others}"
    )


def _wanted(setting: Setting, against: str | None) -> list[Claim]:
    return claims(setting.backbone, against or printed_as(setting.dataset))


def _number(value: float | None, digits: int = 4) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _figures(run: CellRun) -> tuple[Text, ...]:
    if FORGET_RECALL not in run.metrics:
        return (Text("diverged"), *[Text("-")] * (len(FIGURES) - 1))
    metrics = run.metrics
    values = (forget(metrics), metrics[VALID_RECALL], kept(metrics), moved(metrics))
    return (*(Text(_number(value)) for value in values), Text(_number(speed_up(metrics), 1)))


def _limits(setting: Setting) -> TextTable:
    any_run = setting.runs[0]
    gold = (
        any_run.metrics[GOLD_FORGET_RECALL],
        any_run.metrics[GOLD_VALID_RECALL],
        None,
        None,
    )
    rows = [(("gold", ""), (*(Text(_number(value)) for value in gold), Text("-")))]
    rows += [((name, run.run_id), _figures(run)) for name, run in setting.limits.items()]
    header = tuple((title, "") for title in FIGURES)
    return TextTable("limits", f"Limits: {name_of(setting)}", ("limit", "MLflow run"), header, tuple(rows))


def _gate_limit(setting: Setting, against: str | None) -> str:
    """What the gate does in the limit of lambda, beside what the paper's does."""
    wanted = {(claim.group, claim.role): claim.printed for claim in _wanted(setting, against)}
    found = {name: forget(run.metrics) for name, run in setting.limits.items()}
    pairs = [
        (found.get(first), found.get(second))
        for first, second in ((EDGES_REMOVED, ALL_ZERO), (WITHOUT_GATE, ZERO_AND_REVERSED))
    ]
    falls = [before - after for before, after in pairs if before is not None and after is not None]
    if len(falls) < len(pairs) or ("Table 4", "gate") not in wanted:
        return f"{name_of(setting)}: there is nothing to hold the limit of the gate against."
    printed = wanted["Table 4", "gate"] - wanted["Table 4", "full"]
    alone, reversed_ = (" to ".join(map(_number, pair)) for pair in pairs)
    left = _number(kept(setting.limits[ALL_ZERO].metrics))
    conclusion = "at least" if max(falls) >= printed else "less than"
    return (
        f"{name_of(setting)}: in Table 4 the gate lowers forget recall by {printed:.4f}. With every fusion "
        f"weight at zero, the limit of a growing lambda, it goes from {alone} where nothing else is done "
        f"({left} of the original's utility is left), and from {reversed_} beside the default reverse step: "
        f"what the gate does directly comes to {conclusion} that."
    )


def _factors(setting: Setting, wanted: list[Claim]) -> TextTable:
    runs = {reading: trials["full"] for reading, trials in setting.tried.items()}
    fits = {reading: _fit(wanted, trials) for reading, trials in setting.tried.items()}
    rows = []
    for factor in FACTORS:
        for level in dict.fromkeys(_levels(factor, runs)):
            own = [reading for reading in runs if getattr(reading, factor) == level]
            rows.append(((factor, str(level)), _level([runs[r] for r in own], [fits[r] for r in own])))
    header = ("readings", "diverged", "forget, median", "utility kept, median", "wrecked", "least misfit")
    return TextTable(
        "factors",
        f"Factors: {name_of(setting)}",
        ("factor", "level"),
        tuple((title, "") for title in header),
        tuple(rows),
    )


def _levels(factor: str, runs: Mapping[Reading, CellRun]) -> list[object]:
    return sorted((getattr(reading, factor) for reading in runs), key=str)


def _level(runs: Sequence[CellRun], fits: Sequence[float]) -> tuple[Text, ...]:
    measured = [run.metrics for run in runs if FORGET_RECALL in run.metrics]
    shares = [share for share in map(kept, measured) if share is not None]
    middle = statistics.median(m[FORGET_RECALL] for m in measured) if measured else None
    wrecked = sum(share < 0.9 for share in shares) / len(shares) if shares else None
    return (
        Text(str(len(runs))),
        Text(str(len(runs) - len(measured))),
        Text(_number(middle)),
        Text(_number(statistics.median(shares) if shares else None)),
        Text(_number(wrecked, 2)),
        Text(_number(min(fits), 1)),
    )


def _fit(wanted: list[Claim], trials: Mapping[Role, CellRun]) -> float:
    return misfit(wanted, {role: run.metrics for role, run in trials.items()})


def _nearest(setting: Setting, wanted: list[Claim]) -> TextTable:
    trials = setting.tried
    ranked = sorted(trials, key=lambda reading: _fit(wanted, trials[reading]))[:SHOWN]
    rows = []
    for reading in ranked:
        ours = [_ours(claim, trials[reading].get(claim.role)) for claim in wanted]
        texts = (Text(_number(_fit(wanted, trials[reading]), 1)), *map(Text, ours))
        rows.append(((reading.in_words(), trials[reading]["full"].run_id), texts))
    header = [
        ("misfit", ""),
        *((f"{claim.group}: {claim.title}", f"{claim.printed:.4g}") for claim in wanted),
    ]
    return TextTable(
        "nearest",
        f"Nearest readings: {name_of(setting)}",
        ("reading", "MLflow run"),
        tuple(header),
        tuple(rows),
        ("Below a title: the printed value, or what it comes to.",) if wanted else (),
    )


def _ours(claim: Claim, run: CellRun | None) -> str:
    if run is None:
        return "not run"
    return (
        "diverged"
        if claim.distance(run.metrics) == CAP and FORGET_RECALL not in run.metrics
        else _number(claim.value(run.metrics))
    )


def _verdicts(setting: Setting, wanted: list[Claim]) -> TextTable:
    rows = []
    for title, own in together(wanted).items():
        found = verdict(own, setting.tried)
        rows.append(((title, found.printed), (Text(found.text), Text(found.run_id))))
    if not wanted:
        nothing = "not testable here: the paper prints nothing for this data set and backbone"
        rows.append((("every claim", "-"), (Text(nothing), Text("-"))))
    return TextTable(
        "verdicts",
        f"Verdicts: {name_of(setting)}",
        ("claim", "printed"),
        (("verdict", ""), ("MLflow run", "")),
        tuple(rows),
    )


HEAD = """\
# Which reading of TRU its tables can come from

TRU's paper (arXiv 2604.02183 v1) contradicts itself and leaves much open ([card](../methods/tru.md)). Here
its printed numbers at user level are held against the readings that its text allows: form and optimiser of
the reverse step, short or full repair, the gate's form, mask and weight, scaling, isolation, and p, with
steps of matched length in ablations.

Every number is of a trial in MLflow, on validation pairs in place of test pairs, chosen with the paper's
numbers in view. Made by `python -m tests.programs.tru_readings page` from:

{settings}"""
LIMITS = """\
What each part of TRU could do at most, around the defaults of [its card](../methods/tru.md). Utility kept:
validation recall@20 over the original's. Image shift: of the trained image table, over gold's. Times faster:
gold's training over the method, wall-clock. Gamma of modules that mix branches stays 1."""
FACTORS_TEXT = """\
Every reading that was tried, by level of each factor; a reading counts by its level also where another
factor leaves it without effect. Wrecked: share with less than .9 of the original's utility. Misfit:
distances to all claims together in tolerances (forget recall .01, utility .02, shift a tenth, speed a factor
of two), each at most 10. Ablations are run where the full method comes near Table 1."""
VERDICTS = """\
Reproduced: within tolerance of every number that the row names, by the trials of one reading."""
