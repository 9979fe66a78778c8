"""A measured table as CSV: one line per place with everything that is known about it, unrounded."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from results.tables.measured import MeasuredTable, Place, as_list
from results.tables.ranking import Comparison
from results.tables.text_table import FAILED, MISSING, UNAVAILABLE


def to_csv(table: MeasuredTable, comparisons: Sequence[Comparison]) -> str:
    """The table in long form. Tests are those of the best of a block against the second."""
    tests = {comparison.best.key: comparison for comparison in comparisons}
    lines = [_line(place, tests.get(place.key)) for place in table.places]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def _line(place: Place, test: Comparison | None) -> dict[str, Any]:
    found, number, gap = place.summary, place.published, place.gap
    users, seeds = (test.users, test.seeds) if test else (None, None)
    return {
        "backbone": place.entry.labels["backbone"],
        "dataset": place.overrides["dataset"],
        "regime": place.overrides["regime"],
        "method": place.entry.method,
        "quantity": place.quantity.title,
        "metric": place.quantity.metric,
        "goal": place.quantity.goal,
        "state": _state(place),
        "seeds": " ".join(map(str, place.chosen)),
        "mean": found.mean if found else None,
        "deviation": found.deviation if found else None,
        "ci_low": found.low if found else None,
        "ci_high": found.high if found else None,
        "gap_to_gold": gap.value if gap else None,
        "gap_in_gold_spreads": gap.units if gap else None,
        "published": number.value if number else None,
        "difference": place.difference,
        "published_notes": " ".join(dict.fromkeys(note.id for note in number.notes)) if number else None,
        "mark": place.mark,
        "users_p_holm": test.p_users if test else None,
        "users_p_t": users.p_t if users else None,
        "users_p_wilcoxon": users.p_wilcoxon if users else None,
        "users_d_z": users.d_z if users else None,
        "users_rank_biserial": users.rank_biserial if users else None,
        "seeds_p_holm": test.p_seeds if test else None,
        "seeds_d_z": seeds.d_z if seeds else None,
        "runs": " ".join(run.run_id for run in place.chosen.values()),
        "overrides": " ".join(as_list(place.overrides)),
    }


def _state(place: Place) -> str:
    if place.unavailable:
        return UNAVAILABLE
    if place.failed:
        return FAILED
    return MISSING if place.lacking else "complete"
