"""A tune in words and tables: what is searched, what was tried, the trade-off front, the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.config.tuned import tuned_file
from bench.measure.selection import Figures, Selected, distance, front
from bench.tune.loop import Step, Tuning, total_seconds


def print_plan(tune: Tuning) -> None:
    """Print space, finished trials and missing models. Starts nothing."""
    console = Console()
    config, plan = tune.config, tune.plan
    table = _table(f"tuning {config.label}: {plan.budget} trials by {plan.sampler}")
    for title in ("option", "default", "searched"):
        table.add_column(title)
    for option, entry in tune.space.items():
        table.add_row(option, _short(getattr(config.method.options, option)), entry.in_words())
    console.print(table)
    for option, value in tune.fixed.items():
        console.print(f"fixed: {option}={_short(value)}", highlight=False)
    done = tune.finished_steps()
    if done:
        console.print(_steps_table(tune, done, {}, {}))
    missing = sum(not there for there in tune.cell.cached_models().values())
    console.print(
        f"{len(done)} of {plan.budget} trials finished ({total_seconds(done):.1f} s), "
        f"{missing} models to train. Nothing was started.",
        highlight=False,
    )
    state = "exists and would be replaced" if tuned_file(config).exists() else "would be written"
    console.print(f"{tuned_file(config)} {state}.", highlight=False, soft_wrap=True)


def print_steps(
    tune: Tuning, steps: Sequence[Step], selected: Selected | None, references: Mapping[str, Figures]
) -> None:
    """Print all trials with the trade-off front and the choice.

    Args:
        references: figures of ``original`` and ``gold``.
    """
    console = Console()
    chosen = None if selected is None else selected.candidate.number
    gold = references["gold"]
    on_front = {c.number for c in front([s.candidate for s in steps if s.candidate is not None], gold)}
    marks = dict.fromkeys(on_front, "front") | ({} if chosen is None else {chosen: "chosen"})
    console.print(_steps_table(tune, steps, marks, references))
    if selected is not None and not selected.within:
        console.print(
            f"No trial's forget recall@20 is within tolerance of gold's (-{tune.plan.below:g} to "
            f"+{tune.plan.above:g}): the closest one is chosen.",
            highlight=False,
        )
    console.print(f"{len(steps)} trials took {total_seconds(steps):.1f} s.", highlight=False)


def _steps_table(
    tune: Tuning, steps: Sequence[Step], marks: Mapping[int, str], references: Mapping[str, Figures]
) -> Table:
    table = _table(f"trials of {tune.config.label}")
    for title in ("trial", "valid\nrecall@20", "forget\nrecall@20", "from gold", "seconds"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for option in tune.space:
        table.add_column(option)
    table.add_column("", no_wrap=True)
    gold = references.get("gold")
    for role, figures in references.items():
        table.add_row(role, f"{figures.valid_recall:.4f}", f"{figures.forget_recall:.4f}")
    for step in steps:
        values = [_short(step.values[option]) for option in tune.space]
        table.add_row(
            str(step.number),
            *_figures(step, gold),
            f"{step.seconds:.1f}",
            step.state,
            *values,
            marks.get(step.number, ""),
        )
    return table


def _figures(step: Step, gold: Figures | None) -> list[str]:
    candidate = step.candidate
    if candidate is None:
        return ["-", "-", "-"]
    apart = "" if gold is None else f"{distance(candidate, gold):.4f}"
    return [f"{candidate.valid_recall:.4f}", f"{candidate.forget_recall:.4f}", apart]


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
