"""Distance to gold of every row: list distances with floor and excess, gaps in gold's units, closeness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from results.distance.bootstrap import Estimate
from results.distance.closeness import PARTS, scores, unscored
from results.distance.gaps import Arrays, Gap, gap, no_arrays
from results.distance.lists import ListDistances, metric_name
from results.distance.ranks import entry_name
from results.distance.significance import (
    CLOSENESS_REFERENCE,
    Comparison,
    corrected,
    nearer,
    notes_on,
    sign_of,
)
from results.names.headlines import LIST_EXCESS
from results.runs.groups import SETTING, Group, by_setting, gold_for, gold_of
from results.tables.text_table import NOTHING, UNAVAILABLE, Letters, Text, TextTable, in_units, signed

LABELS = (*SETTING, "method")
SHOWN = (("stay", "overlap"), ("stay", "rbo"), ("touched", "overlap"), ("forgotten", "overlap"))
WHOSE = {"stay": "users who stay", "touched": "touched users", "forgotten": "forgotten users"}
NAMES = {"overlap": "1 - overlap@20", "rbo": "1 - RBO"}


def list_table(rows: Sequence[Group], lists: ListDistances) -> TextTable:
    """List distance, floor and excess of every row that has lists, with the test against ``reset``."""
    shown = [
        pair
        for pair in SHOWN
        if any(group.summary(metric_name("distance", pair[1], pair[0])) for group in rows)
    ]
    letters, tests = Letters(), corrected(_tests(rows, lists))
    header = [
        (f"{NAMES[measure]}, {WHOSE[users]}", part)
        for users, measure in shown
        for part in ("distance", "floor", "excess")
    ]
    lines = []
    for setting in by_setting(rows).values():
        for group in setting:
            gold = gold_for(group, setting)
            texts: list[Text] = []
            for users, measure in shown:
                sign = sign_of(tests.get(group.key)) if (users, measure) == SHOWN[0] else ""
                texts += _distances(group, gold, users, measure, lists, sign, letters)
            lines.append((_names(group), (Text(group.coverage), *texts)))
    return TextTable(
        "distance",
        "List distance to gold models of other training seeds",
        LABELS,
        (("over", ""), *header),
        tuple(lines),
        (*_list_notes(letters), *notes_on(list(tests.values()))),
    )


def gap_table(rows: Sequence[Group], arrays: Arrays = no_arrays) -> TextTable:
    """The gap of each part of the closeness score in its own measure and in units, and the score."""
    lines, lacking = [], {}
    for labels, setting in by_setting(rows).items():
        lacking[labels] = unscored(gold_of(setting))
        closeness = _closeness(setting)
        for group in setting:
            if group.is_gold:
                continue
            gold, score = gold_for(group, setting), closeness[group.key]
            found = [gap(group, gold, metric, arrays) for metric in PARTS.values()]
            text = UNAVAILABLE if score is None else f"{score:.2f}"
            lines.append((_names(group), (Text(group.coverage), *map(_gap, found), Text(text))))
    return TextTable(
        "gaps",
        "Gaps to gold [95 % interval] (in standard deviations of gold over training seeds), and closeness",
        LABELS,
        (("over", ""), *((name, "") for name in PARTS), ("closeness C", "")),
        tuple(lines),
        tuple(_gap_notes(lacking)),
    )


def _closeness(setting: Sequence[Group]) -> dict[tuple[str, ...], float | None]:
    """The scores of one setting: ranked methods over what they share, every other row by itself."""
    ranked = {group.key: group for group in setting if entry_name(group) is not None}
    found = {key: score.value for key, score in scores(ranked, setting).items()}
    for group in setting:
        if group.key not in found and not group.is_gold:
            found[group.key] = scores({group.key: group}, setting)[group.key].value
    return found


def _names(group: Group) -> tuple[str, ...]:
    return (*group.setting, group.name)


def _distances(
    group: Group,
    gold: Group | None,
    users: str,
    measure: str,
    lists: ListDistances,
    sign: str,
    letters: Letters,
) -> list[Text]:
    found = lists.estimates(group, gold, users, measure)
    if found is None:
        why = lists.missing(group, gold)
        text = Text(UNAVAILABLE, signs=letters.of("n/a", why)) if why else Text(NOTHING)
        return [text] * 3
    distance, excess = found
    floor = group.summary(metric_name("floor", measure, users))
    if excess is None or floor is None:
        nothing = Text(UNAVAILABLE, signs=letters.of("n/a", lists.missing(group, gold)))
        return [Text(f"{distance.value:.4f}"), nothing, nothing]
    return [
        Text(f"{distance.value:.4f}"),
        Text(f"{floor.mean:.4f}"),
        Text(signed(excess.value), signs=sign, tail=_interval(excess)),
    ]


def _gap(found: Gap | None) -> Text:
    if found is None:
        return Text(UNAVAILABLE)
    return Text(signed(found.value), tail=f"{_interval(found.estimate)} ({in_units(found)})")


def _interval(found: Estimate) -> str:
    if found.interval is None:
        return ""
    low, high = found.interval
    return f" [{signed(low)}, {signed(high)}]"


def _tests(rows: Sequence[Group], lists: ListDistances) -> dict[tuple[str, ...], Comparison]:
    """Is the excess of a method smaller than that of ``reset``?"""
    found: dict[tuple[str, ...], Comparison] = {}
    for setting in by_setting(rows).values():
        reset = next((g for g in setting if (g.method, g.options) == (CLOSENESS_REFERENCE, "")), None)
        if reset is None:
            continue
        for group in setting:
            if group.is_reference or group.key == reset.key:
                continue
            gold, other = gold_for(group, setting), gold_for(reset, setting)
            ats = set(group.values(LIST_EXCESS)) & set(reset.values(LIST_EXCESS))
            both = lists.estimates(group, gold, ats=ats), lists.estimates(reset, other, ats=ats)
            excess = [one[1] for one in both if one is not None]
            if len(excess) == 2 and excess[0] is not None and excess[1] is not None:
                test = nearer(excess[0], excess[1])
                found |= {group.key: test} if test is not None else {}
    return found


def _list_notes(letters: Letters) -> list[str]:
    return [
        "distance: mean over requests, seeds s and golds of other seeds s' of the distance between their "
        "lists; floor: the same between golds of different seeds; excess: distance minus floor [95 % "
        "interval, hierarchical bootstrap]. A gold model of another seed has an excess of 0.",
        "touched users stay and have a forgotten pair.",
        *(f"{letter}: n/a: {text}." for (_, text), letter in letters.found.items()),
    ]


def _gap_notes(lacking: Mapping[tuple[str, ...], Mapping[str, str]]) -> list[str]:
    lines = [
        "gap: mean over requests and seeds of the value minus the mean of the request's gold models; "
        "interval by hierarchical bootstrap over requests, seeds and, where they are recorded, users.",
        "closeness C: mean of the gaps in units, each capped at 10; the smaller the better.",
    ]
    for setting, parts in lacking.items():
        if parts:
            why = "; ".join(f"{name} ({text})" for name, text in parts.items())
            lines.append(f"{'/'.join(setting)}: not in C, because the unit is n/a: {why}.")
    return lines
