"""A measured table as CSV: one line per place with everything that is known about it, unrounded."""

from __future__ import annotations

import csv
import io
from typing import Any

from results.distance.gaps import Gap
from results.distance.significance import Comparison
from results.tables.measured import MeasuredTable, Place, as_list
from results.tables.text_table import FAILED, MISSING, UNAVAILABLE


def to_csv(table: MeasuredTable) -> str:
    """The table in long form."""
    lines = [_line(place) for place in table.places]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return stream.getvalue()


def _line(place: Place) -> dict[str, Any]:
    found, number = place.summary, place.published
    return {
        "backbone": place.entry.labels["backbone"],
        "dataset": place.overrides["dataset"],
        "regime": place.overrides["regime"],
        "method": place.entry.method,
        "quantity": place.quantity.title,
        "metric": place.quantity.metric,
        "goal": place.quantity.goal,
        "state": _state(place),
        "requests": " ".join(map(str, sorted({at.request for at in place.chosen}))),
        "seeds": " ".join(map(str, sorted({at.seed for at in place.chosen}))),
        "cells": len(place.chosen),
        "mean": found.mean if found else None,
        "deviation_over_seeds": found.deviation if found else None,
        "deviation_over_requests": found.between if found else None,
        "ci_low": found.low if found else None,
        "ci_high": found.high if found else None,
        **_gap(place.gap),
        "published": number.value if number else None,
        "difference": place.difference,
        "published_notes": " ".join(dict.fromkeys(note.id for note in number.notes)) if number else None,
        "mark": place.mark,
        **_test(place.comparison),
        "flags": "; ".join(place.flags),
        "left_out": " ".join(run.run_id for run in place.left_out),
        "runs": " ".join(run.run_id for run in place.chosen.values()),
        "overrides": " ".join(as_list(place.overrides)),
    }


def _gap(gap: Gap | None) -> dict[str, Any]:
    low, high = (gap.estimate.interval if gap else None) or (None, None)
    return {
        "gap_to_gold": gap.value if gap else None,
        "gap_low": low,
        "gap_high": high,
        "gap_over": " ".join(gap.estimate.over) if gap else None,
        "gap_in_units": gap.units if gap else None,
        "unit": gap.unit.value if gap else None,
        "golds": gap.unit.golds if gap else None,
    }


def _test(test: Comparison | None) -> dict[str, Any]:
    return {
        "reference": test.reference if test else None,
        "advantage": test.advantage.value if test else None,
        "test_over": " ".join(test.advantage.over) if test else None,
        "p": test.advantage.p if test else None,
        "p_holm": test.p if test else None,
    }


def _state(place: Place) -> str:
    if place.unavailable:
        return UNAVAILABLE
    if place.failed:
        return FAILED
    return MISSING if place.lacking else "complete"
