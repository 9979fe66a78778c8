"""``python -m tests.programs.selection_rules --uri URI``: what three rules choose among the same trials.

Reads the trials of oracle tuning in a store, and prints for every method of every setting which trial

- **tolerance** chooses: best validation recall@20 among forget recalls at most .005 above and .02 below
  gold's, else the forget recall nearest to gold's, trials below nine tenths of gold's validation recall last;
- **oracle tuning** chooses, and **gold-free tuning**, where a tune measured its aims.

Each with its two figures and its loss in units of gold.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

from mlflow.entities import Run

from bench.config.schema import TrackingConfig
from bench.measure.selection import LABELS, Candidate, Rule, Target, loss, select
from bench.record.local.database import is_absent
from bench.record.names import FORGET_RECALL, KIND_TAG, TUNED_RULE_TAG, VALID_RECALL
from bench.record.store import Store
from bench.tune.record import read_target, tuning
from results.runs.groups import SETTING
from results.tables.text_table import NOTHING

ABOVE, BELOW = 0.005, 0.02
HEADER = ("setting", "method", "rule", "trial", "valid recall@20", "forget recall@20", "loss")


def tolerance(candidates: Sequence[Candidate], target: Target) -> Candidate:
    """What a tolerance around gold's forget recall chooses."""

    def rank(one: Candidate) -> tuple[bool, float, float]:
        excess = one.forget_recall - target.aim.forget_recall
        within = -BELOW <= excess <= ABOVE
        wrecked = one.valid_recall < 0.9 * target.aim.valid_recall
        return wrecked, 0.0 if within else abs(excess), -one.valid_recall

    return min(candidates, key=rank)


def rows(trials: Sequence[Run], targets: Mapping[str, Target]) -> list[tuple[str, ...]]:
    """The table of one setting.

    Args:
        trials: of its methods, the latest of a number counts.
        targets: by the label of a rule.
    """
    found: list[tuple[str, ...]] = []
    gold = targets[LABELS["gold"]]
    for method in sorted({run.data.tags["method"] for run in trials}):
        measured = {
            int(run.data.params["trial.number"]): run.data.metrics
            for run in trials
            if run.data.tags["method"] == method and VALID_RECALL in run.data.metrics
        }
        own = [Candidate(n, m[VALID_RECALL], m[FORGET_RECALL]) for n, m in sorted(measured.items())]
        chosen = {"tolerance": tolerance(own, gold)}
        chosen |= {label: select(own, aimed, Rule()).candidate for label, aimed in targets.items()}
        for rule, one in chosen.items():
            figures = (
                f"{one.valid_recall:.4f}",
                f"{one.forget_recall:.4f}",
                f"{loss(one, gold, Rule()):.1f}",
            )
            found.append((method, rule, str(one.number), *figures))
    return found


def table(uri: str, experiment: str) -> list[str]:
    """The lines of the table; none without a finished tune."""
    tracking = TrackingConfig(uri, experiment)
    if is_absent(uri):
        return []
    runs = [run for run in Store(tuning(tracking)).runs("") if run.info.status == "FINISHED"]
    lines = [f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
    for setting in sorted({_setting(run) for run in runs}):
        own = [run for run in runs if _setting(run) == setting]
        targets = {
            run.data.tags[TUNED_RULE_TAG]: read_target(run.data.metrics)
            for run in own
            if run.data.tags[KIND_TAG] == "tune"
        }
        if LABELS["gold"] not in targets:
            continue
        for rule, aimed in targets.items():
            for what, figures in (("aim", aimed.aim), ("unit", aimed.unit)):
                texts = (f"{figures.valid_recall:.4f}", f"{figures.forget_recall:.4f}", NOTHING)
                lines.append(_line("/".join(setting), f"*{what}*", rule, NOTHING, *texts))
        trials = [run for run in own if run.data.tags[KIND_TAG] == "trial"]
        lines += [_line("/".join(setting), *row) for row in rows(trials, targets)]
    return lines if len(lines) > 2 else []


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; 1 where there is nothing to print."""
    parser = argparse.ArgumentParser("python -m tests.programs.selection_rules", description=__doc__)
    parser.add_argument("--uri", required=True)
    parser.add_argument("--experiment", default="lethe")
    asked = parser.parse_args(arguments)
    lines = table(asked.uri, asked.experiment)
    print("\n".join(lines) or f"no finished oracle tuning of {asked.experiment}", file=sys.stdout)
    return 0 if lines else 1


def _setting(run: Run) -> tuple[str, ...]:
    return tuple(run.data.tags[label] for label in SETTING)


def _line(*texts: str) -> str:
    return f"| {' | '.join(texts)} |"


if __name__ == "__main__":
    sys.exit(main())
