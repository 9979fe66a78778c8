"""What serving a stream of requests took, row by row, and when retraining instead would have been cheaper."""

from __future__ import annotations

import math
from collections.abc import Sequence

from bench.record.names import FORGET_RECALL, LATENCY_MEAN, LATENCY_TOTAL, OFFLINE_SECONDS, TEST_RECALL
from results.names.titles import TITLES
from results.runs.groups import Group, gold_for
from results.tables.text_table import NOTHING, UNAVAILABLE, Text, TextTable, number

GOLD_SECONDS = "time/gold_train_seconds_to_best"
COLUMNS = (
    (TEST_RECALL, "recall@20", "test", 4),
    (FORGET_RECALL, "recall@20", "forget", 4),
    ("exposure/requesting_users_at_20", "exposure@20", "requesting", 4),
    ("exposure/other_users_at_20", "exposure@20", "others", 4),
    (LATENCY_MEAN, "seconds per request", "mean", 3),
    ("stream/latency_p50", "seconds per request", "p50", 3),
    ("stream/latency_p95", "seconds per request", "p95", 3),
    ("stream/latency_max", "seconds per request", "max", 3),
    (LATENCY_TOTAL, "", "total s", 1),
    (OFFLINE_SECONDS, "", "offline s", 1),
    ("stream/peak_memory", "", "peak GiB", 2),
    ("stream/late", "", "late", 0),
)
"""Metric, group, title and decimals of each column; one that no row has is left out."""
NOTES = (
    "After the last request, beside the gold model of the same rest; forget: all pairs asked in the stream.",
    "late: requests that were not served within stream.max_seconds, and so are not forgotten.",
    "break-even k: gold's seconds to its best epoch over the method's per request. From this k on, "
    "retraining after every k requests takes less time than the method; below 1 even after each request.",
    "Seconds of original and retrain are those of one retraining, whatever the number of requests.",
)


def stream_table(rows: Sequence[Group]) -> TextTable:
    """One line per row that served streams."""
    rows = [group for group in rows if "+" in group.setting[2]]
    shown = [column for column in COLUMNS if any(group.summary(column[0]) for group in rows)]
    header = [*((group, title) for _, group, title, _ in shown), ("", "break-even k")]
    lines = []
    for group in rows:
        texts = [_text(group, metric, digits) for metric, _, _, digits in shown]
        labels = (*(TITLES.get(label, label) for label in (*group.setting, group.method)), group.options)
        lines.append((labels, (*texts, Text(_break_even(group, rows)))))
    names = ("data set", "backbone", "stream", "method", "options")
    title = "Streams of requests, served one after another"
    return TextTable("stream", title, names, tuple(header), tuple(lines), NOTES)


def break_even(group: Group, rows: Sequence[Group]) -> float | None:
    """k from which on retraining after every k requests takes less than the method; None where unknown."""
    seconds, golds = group.summary(LATENCY_MEAN), gold_for(group, rows)
    gold = golds.summary(GOLD_SECONDS) if golds is not None else group.summary(GOLD_SECONDS)
    if group.is_reference or seconds is None or gold is None or seconds.mean <= 0:
        return None
    return gold.mean / seconds.mean


def _break_even(group: Group, rows: Sequence[Group]) -> str:
    setting = [one for one in rows if one.setting == group.setting]
    found = break_even(group, setting)
    if found is None:
        return NOTHING
    return UNAVAILABLE if not math.isfinite(found) else number(found, 1)


def _text(group: Group, metric: str, digits: int) -> Text:
    found = group.summary(metric)
    return Text(NOTHING) if found is None else Text(number(found.mean, digits))
