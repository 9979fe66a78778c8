"""``python -m tests.programs.synthetic_protocol --uri URI --out PAGE``: two definitions of distance.

Reads the cells of one setting in a store and writes a page: for every row its distance to the gold model of
its own training seed beside its list distance to gold of other seeds, and its gaps to gold in a unit from
three single models beside those in a unit from five. ``COMMAND`` fills a store for it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations
from pathlib import Path
from statistics import fmean

from bench.record.names import FORGET_RECALL, TEST_RECALL
from results.distance.bootstrap import Estimate
from results.distance.gaps import Arrays, gap
from results.distance.lists import ListDistances
from results.distance.rows import distances_of, rows
from results.names.titles import TITLES
from results.runs.at import At
from results.runs.frame import per_user
from results.runs.groups import Group, gold_for
from results.tables.text_table import NOTHING, UNAVAILABLE, in_units, signed

COMMAND = """\
python -m bench -m dataset=synthetic seed=0,1,2,3,4 run.threads=1 \\
    method=original,retrain,graph_only,reset,finetune,mmrecun,tru,unlearnrec
python -m tests.programs.synthetic_protocol --uri sqlite:///mlflow.db \\
    --out docs/results/synthetic-protocol.md"""
SAME_SEED = "gold_distance_same_seed/overlap_at_20"
GAPS = {TEST_RECALL: "test recall@20", FORGET_RECALL: "forget recall@20"}
SINGLE_GOLDS = 3
HEAD = """\
# Distance to gold on `synthetic`, by two definitions

{about}. Written by `python -m tests.programs.synthetic_protocol`; what each figure means and why is said in
[the protocol](../protocol.md).

```bash
{command}
```
"""
LISTS = """
## Lists of users who stay
*Same seed*: 1 minus the overlap of top-20 lists with those of gold of the same training seed, which starts
from the same weights. *Distance*, *floor* and *excess* [95 % interval] are to gold of other seeds.
"""
SCALARS = """
## Gaps of recall
*Same seed*: mean difference to gold of the same training seed, in brackets its size in units of the mean
difference between pairs of three single gold models. *All golds*: mean difference to the mean of all gold
models [95 % interval], in brackets its size in standard deviations of gold over training seeds.
"""


def page(found: Sequence[Group], lists: ListDistances, arrays: Arrays) -> str:
    """The page on the rows of one setting."""
    golds = next(group for group in found if group.is_gold)
    about = f"{'/'.join(found[0].setting)}, {found[0].coverage}, {len(golds.ats)} gold models"
    ordered = sorted(found, key=lambda group: (not group.is_reference, group.method, group.options))
    lines = [HEAD.format(about=about, command=COMMAND), LISTS]
    lines += _table(
        ("method", "same seed", "distance", "floor", "excess"), [_lists(g, found, lists) for g in ordered]
    )
    lines.append(SCALARS)
    header = ("method", *(f"{name}, {how}" for name in GAPS.values() for how in ("same seed", "all golds")))
    lines += _table(header, [_gaps(group, found, arrays) for group in ordered if not group.is_gold])
    return "\n".join(lines) + "\n"


def _lists(group: Group, setting: Sequence[Group], lists: ListDistances) -> tuple[str, ...]:
    same, estimates = group.summary(SAME_SEED), lists.estimates(group, gold_for(group, setting))
    own = NOTHING if same is None else f"{1 - same.mean:.4f}"
    if estimates is None or estimates[1] is None:
        return _name(group), own, *[UNAVAILABLE] * 3
    distance, excess = estimates
    floor = distance.value - excess.value
    return _name(group), own, f"{distance.value:.4f}", f"{floor:.4f}", _with_interval(excess)


def _gaps(group: Group, setting: Sequence[Group], arrays: Arrays) -> tuple[str, ...]:
    texts: list[str] = []
    gold = gold_for(group, setting)
    for metric in GAPS:
        own, golds = group.values(metric), {} if gold is None else gold.values(metric)
        new = gap(group, gold, metric, arrays)
        texts += [_same_seed(own, golds), UNAVAILABLE]
        if new is not None:
            texts[-1] = f"{_with_interval(new.estimate)} ({in_units(new)})"
    return _name(group), *texts


def _same_seed(own: Mapping[At, float], golds: Mapping[At, float]) -> str:
    both = [own[at] - golds[at] for at in own if at in golds]
    if not both:
        return UNAVAILABLE
    unit = fmean(abs(a - b) for a, b in combinations([golds[at] for at in sorted(golds)][:SINGLE_GOLDS], 2))
    return f"{signed(fmean(both))} ({abs(fmean(both)) / unit:.1f})" if unit else signed(fmean(both))


def _with_interval(found: Estimate) -> str:
    if found.interval is None:
        return signed(found.value)
    low, high = found.interval
    return f"{signed(found.value)} [{signed(low)}, {signed(high)}]"


def _name(group: Group) -> str:
    return f"{TITLES.get(group.method, group.method)} {group.options}".strip()


def _table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(texts)} |" for texts in (header, [":--", *["--:"] * (len(header) - 1)], *lines)]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page; 1 where the store has no gold of two training seeds."""
    parser = argparse.ArgumentParser("python -m tests.programs.synthetic_protocol", description=__doc__)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--experiment", default="lethe")
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args(arguments)
    found = rows(asked.uri, asked.experiment)
    if not any(group.is_gold and len(group.seeds) > 1 for group in found):
        print("no gold of two training seeds is recorded: run", COMMAND, sep="\n", file=sys.stderr)
        return 1
    arrays = cache(lambda run: per_user(asked.uri, run))
    asked.out.write_text(page(found, distances_of(asked.uri), arrays), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
