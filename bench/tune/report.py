"""A tune in words and tables: what is searched, what was tried, the trade-off front, the choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.config.tuned import tuned_file
from bench.measure.selection import Figures, Selected, Target, front, is_wrecked
from bench.tune.loop import Step, Tuning, method_seconds, total_seconds
from bench.tune.record import recorded_target


def print_plan(tune: Tuning) -> None:
    """Print space, finished trials and missing models. Starts nothing."""
    console = Console()
    config, plan = tune.config, tune.plan
    table = _table(
        f"{plan.label} of {config.label}: {plan.budget} trials by {plan.sampler}, "
        f"{plan.budget_seconds:g} s of the method's clock at most"
    )
    for title in ("option", "default", "searched"):
        table.add_column(title)
    for option, entry in tune.space.items():
        table.add_row(option, _short(getattr(config.method.options, option)), entry.in_words())
    console.print(table)
    for option, value in tune.fixed.items():
        console.print(f"fixed: {option}={_short(value)}", highlight=False)
    target = recorded_target(config.tracking, tune.target_key)
    done = [] if target is None else tune.finished_steps(target)
    if target is not None and done:
        console.print(_steps_table(tune, done, {}, target))
    missing = _missing_models(tune, measured=target is not None)
    console.print(
        f"{len(done)} of {plan.budget} trials finished ({method_seconds(done):.1f} s of the method's clock), "
        f"{missing} models to train. Nothing was started.",
        highlight=False,
    )
    file = tuned_file(config, plan.target)
    state = "exists and would be replaced" if file.exists() else "would be written"
    console.print(f"{file} {state}.", highlight=False, soft_wrap=True)


def print_steps(
    tune: Tuning, steps: Sequence[Step], selected: Selected | None, original: Figures, target: Target
) -> None:
    """Print all trials with the trade-off front and the choice.

    Args:
        original: figures of the original model.
    """
    console = Console()
    chosen = None if selected is None else selected.candidate.number
    on_front = {c.number for c in front([s.candidate for s in steps if s.candidate is not None], target.aim)}
    marks = dict.fromkeys(on_front, "front") | ({} if chosen is None else {chosen: "chosen"})
    console.print(_steps_table(tune, steps, marks, target, original))
    if selected is not None and selected.wrecked:
        console.print(
            f"Every trial's validation recall@20 is below {tune.plan.floor:g} of its aim: the one with the "
            "least loss is chosen.",
            highlight=False,
        )
    console.print(
        f"{tune.plan.label}: {len(steps)} trials took {method_seconds(steps):.1f} s of the method's clock, "
        f"{total_seconds(steps):.1f} s with measuring. Units: {tune.plan.units_in_words}.",
        highlight=False,
    )


def _missing_models(tune: Tuning, measured: bool) -> int:
    """How many models are not in the cache that the rest of a tune needs."""
    role = "gold" if tune.plan.target == "gold" else "original"
    cells = [tune.cell] if measured else tune.target_cells
    keys = {tune.cell.keys.original, *(getattr(cell.keys, role) for cell in cells)}
    return sum(not (tune.config.cache.dir / "models" / key).exists() for key in keys)


def _steps_table(
    tune: Tuning,
    steps: Sequence[Step],
    marks: Mapping[int, str],
    target: Target,
    original: Figures | None = None,
) -> Table:
    table = _table(f"{tune.plan.label}: trials of {tune.config.label}")
    for title in ("trial", "valid\nrecall@20", "forget\nrecall@20", "loss", "seconds"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for option in tune.space:
        table.add_column(option)
    table.add_column("", no_wrap=True)
    for name, figures in (("original", original), (tune.plan.target, target.aim), ("unit", target.unit)):
        if figures is not None:
            table.add_row(name, f"{figures.valid_recall:.4f}", f"{figures.forget_recall:.4f}")
    for step in steps:
        values = [_short(step.values[option]) for option in tune.space]
        table.add_row(
            str(step.number),
            *_figures(tune, step, target),
            f"{step.method_seconds:.1f}",
            step.state,
            *values,
            marks.get(step.number, ""),
        )
    return table


def _figures(tune: Tuning, step: Step, target: Target) -> list[str]:
    candidate = step.candidate
    if candidate is None:
        return ["-", "-", "-"]
    loss = "wrecked" if is_wrecked(candidate, target, tune.plan) else f"{tune.loss(step, target):.2f}"
    return [f"{candidate.valid_recall:.4f}", f"{candidate.forget_recall:.4f}", loss]


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 1))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
