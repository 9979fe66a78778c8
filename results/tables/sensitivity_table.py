"""Sensitivity to who leaves: gaps to gold where the most active users go, the least, or any (CURE4Rec).

Samplers take users of very different activity at the same ratio: the number of forgotten pairs stands beside.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bench.record.names import FORGET_RECALL, MIA_BALANCED_ACCURACY, TEST_RECALL
from results.distance.gaps import gap
from results.names.titles import TITLES
from results.runs.groups import Group, gold_for
from results.tables.text_table import NOTHING, Text, TextTable, signed

SAMPLERS = ("random", "core", "edge")
METRICS = (
    (TEST_RECALL, "test recall@20"),
    (FORGET_RECALL, "forget recall@20"),
    (MIA_BALANCED_ACCURACY, "attack"),
)
PAIRS = "request/pairs"
SIZES = ("regime.ratio=", "regime.count=")
NOTES = (
    "Gap to gold: the method's mean less that of the gold models of the same request. random: any users; "
    "core: the most active first; edge: the least active first.",
    "Pairs: training pairs that the request forgets; they differ between samplers at one share of users.",
)


def sensitivity_table(rows: Sequence[Group]) -> TextTable:
    """One line per method, options and share of users, a column per metric and sampler."""
    found: dict[tuple[str, ...], dict[str, Group]] = {}
    for group in rows:
        if not group.is_gold and _param(group, "regime.sampler"):
            found.setdefault(_place(group), {})[_param(group, "regime.sampler")] = group
    compared = {place: own for place, own in found.items() if len(own) > 1}
    metrics = [m for m in METRICS if any(g.summary(m[0]) for own in compared.values() for g in own.values())]
    header = [
        *((title, sampler) for _, title in metrics for sampler in SAMPLERS),
        *(("pairs", s) for s in SAMPLERS),
    ]
    lines = []
    for place, own in sorted(compared.items()):
        gaps = [_gap(own.get(sampler), rows, metric) for metric, _ in metrics for sampler in SAMPLERS]
        pairs = [_pairs(own.get(sampler)) for sampler in SAMPLERS]
        lines.append((tuple(TITLES.get(label, label) for label in place), (*gaps, *pairs)))
    labels = ("data set", "backbone", "regime", "method", "options", "users")
    return TextTable("sensitivity", "Sensitivity to who leaves", labels, tuple(header), tuple(lines), NOTES)


def _place(group: Group) -> tuple[str, ...]:
    """All that a line has in common: everything but the sampler."""
    words = [word for word in group.options.split() if not word.startswith(("regime.sampler=", *SIZES))]
    return (*group.setting, group.method, " ".join(words), _size(group))


def _size(group: Group) -> str:
    count, ratio = _param(group, "regime.count"), _param(group, "regime.ratio")
    return f"{float(ratio):g}" if count in ("", "None") and ratio not in ("", "None") else count


def _param(group: Group, name: str) -> str:
    values = {run.params.get(name, "") for run in group.runs}
    return values.pop() if len(values) == 1 else ""


def _gap(group: Group | None, rows: Iterable[Group], metric: str) -> Text:
    if group is None:
        return Text(NOTHING)
    gold = gold_for(group, [one for one in rows if one.setting == group.setting])
    found = gap(group, gold, metric, with_interval=False)
    return Text(NOTHING) if found is None else Text(signed(found.value))


def _pairs(group: Group | None) -> Text:
    found = group.summary(PAIRS) if group is not None else None
    return Text(NOTHING) if found is None else Text(f"{found.mean:,.0f}")
