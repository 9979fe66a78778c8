"""Descriptions of runs and of the experiment: Markdown that MLflow shows on their pages.

Nothing here depends on a clock or a machine: the same runs give the same text.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from bench.record.names import SPEEDUP
from results.distance.gaps import gap
from results.formats.markdown import cell, code, line, place, span
from results.mlflow_ui.names import NOTE_LIMIT, run_link, title
from results.mlflow_ui.views import SECONDS, VIEWS, view_link
from results.runs.frame import CellRun
from results.runs.groups import SETTING, Group
from results.tables.explain import explain_command
from results.tables.leaderboard import COLUMNS, remark
from results.tables.text_table import TextTable, in_units, signed, spread

Headline = tuple[str, str]
HEADLINES: tuple[Headline, ...] = (
    *((metric, name) for metric, name, _ in COLUMNS),
    ("audit/backdoor/attack_success_rate", "backdoor success rate"),
    (SECONDS, "seconds of unlearning"),
)
"""Metric and how it is called."""
SPACE, UNBROKEN = "&nbsp;" * 3, "\u00a0"
NO_GAP = (*(metric for metric, _, goal in COLUMNS if goal is None), SPEEDUP, SECONDS)
DOES = {
    "original": "is the model before anything was forgotten",
    "retrain": "is **gold**: trained anew without what was to be forgotten",
}


def cell_note(
    run: CellRun,
    options: str,
    command: str | None,
    gold: CellRun | None,
    means: str | None,
    left_out: bool = False,
) -> str:
    """Description of a finished cell.

    Args:
        options: how its options differ from the defaults, "" for none.
        command: runs it again.
        gold: the gold cell of its setting and seed.
        means: where the means of its group are shown.
        left_out: whether it counts for nothing, because method or backbone had other code.
    """
    lines = [_about(run.labels, options, run.request), ""]
    lines += ["**Left out of tables and means: method or backbone had other code.**", ""] if left_out else []
    lines += _cell_figures(run, None if gold is None or gold.run_id == run.run_id else gold)
    if gold is None:
        lines += ["", "Gold of this setting and seed is not recorded: `method=retrain` adds it."]
    lines += ["", *([f"[Means over requests and seeds]({means})", ""] if means else [])]
    commands = [command, None if options else explain_command(run)]
    return fitted([*lines, *_code([one for one in commands if one])])


def group_note(group: Group, gold: Group | None, experiment_id: str) -> str:
    """Description of the mean of a group; ``gold`` are the gold models that it is held against."""
    labels = {"dataset": group.setting[0], "backbone": group.setting[1], "regime": group.setting[2]}
    about = _about(labels | {"method": group.method}, group.options)
    over = "± standard deviation over seeds within a request"
    over += ", after the stroke over the means of requests" if len(group.requests) > 1 else ""
    lines = [f"{about}: mean over {group.coverage}{remark(group)} ({over}).", ""]
    lines += [*_group_figures(group, None if group.is_gold else gold), "", "Its cells:", ""]
    lines += [
        f"- [request {run.request}, seed {run.seed}]({run_link(experiment_id, run.run_id)})"
        for run in group.last_runs()
    ]
    return fitted(lines)


def sweep_note(
    facts: Sequence[str], command: str, board: TextTable | None, missing: Sequence[str], folder: str
) -> str:
    """Description of a sweep.

    Args:
        facts: what there is to say about it.
        command: its command line, "" where it was not recorded.
        board: its leaderboard; None where no cell is finished.
        missing: one line per cell that is not finished.
        folder: where the means are shown.
    """
    lines = [". ".join(facts) + f". [All means over requests and seeds]({folder}).", ""]
    lines += [
        "**Artifacts:** `page.html` (everything, sortable), `leaderboard.md`, `leaderboard.csv`, `figures/`.",
        "",
    ]
    lines += ["```", code(command), "```", ""] if command else []
    if missing:
        lines += [f"**{len(missing)} cells are not finished; the same command runs them:**", ""]
        lines += [f"- {cell(one)}" for one in missing[:10]] + [""]
    return fitted([*lines, *(_board(board) if board else [])])


def folder_note(experiment_id: str) -> str:
    """Description of the run that holds the means together."""
    link = view_link(experiment_id, VIEWS[0])
    return (
        "Below this run: one run per setting, method and options, with the mean over its requests and seeds "
        "of every metric, the standard deviation over seeds under `std/`, that over requests under "
        f"`std_requests/`. [As a table]({link}). They are written anew after every sweep and by "
        "`python -m results refresh`; deleting them loses nothing.\n"
    )


def experiment_note(experiment_id: str) -> str:
    """Description of the experiment."""
    links = [f"- [{view.name}]({view_link(experiment_id, view)})" for view in VIEWS]
    lines = [
        "**Lethe: the benchmark for multimodal recommendation unlearning.** One run per cell (data set, "
        "backbone, regime, method, request, seed) below the sweep that ran it; means are own runs.",
        "",
        "Views of the run list, also in the menu *Views*:",
        "",
        *links,
        "",
        "`original` is the model before, `retrain` is gold: what forgetting should lead to. For forget, "
        "retain and the attack the value closest to gold's is best. A sweep's run holds its leaderboard, "
        "page and figures as artifacts.",
    ]
    return "\n".join(lines) + "\n"


def fitted(lines: Sequence[str]) -> str:
    """As many whole lines as MLflow keeps of a description, and how many are left out."""
    size, kept = 0, 0
    for text in lines:
        size += len(text) + 1
        if size > NOTE_LIMIT:
            break
        kept += 1
    more = len(lines) - kept
    rest = ["", f"… {more} more lines: see the artifacts."] if more else []
    return "\n".join([*lines[:kept], *rest]) + "\n"


def _about(labels: Mapping[str, str], options: str, request: int | None = None) -> str:
    """What a cell is, in one line."""
    method = labels["method"]
    does = DOES.get(method, f"forgets: regime `{span(labels['regime'])}`")
    seed = f", seed {labels['seed']}" if "seed" in labels else ""
    faced = f", request {request}" if request is not None else ""
    own = f", options `{span(options)}`" if options else ""
    where = f"{cell(title(labels['backbone']))} on {cell(title(labels['dataset']))}"
    return f"**{cell(title(method))}** {does}. {where}{faced}{seed}{own}"


def _cell_figures(run: CellRun, gold: CellRun | None) -> list[str]:
    """The headline figures of a cell, beside those of gold of its seed where it is another model."""
    rows = []
    for metric, name in HEADLINES:
        value = run.metrics.get(metric, math.nan)
        other = gold.metrics.get(metric, math.nan) if gold is not None else math.nan
        if math.isfinite(value):
            known = math.isfinite(other)
            gap_text = signed(value - other) if known and metric not in NO_GAP else ""
            beside = [_number(other) if known else "-", gap_text] if gold is not None else []
            rows.append([name, _number(value), *beside])
    return _table(rows, "gold of its seed" if gold is not None else "")


def _group_figures(group: Group, gold: Group | None) -> list[str]:
    """The headline figures of a row, beside gold's."""
    rows = []
    for metric, name in HEADLINES:
        if group.summary(metric) is None:
            continue
        beside = [_summary(gold, metric), _gap(group, gold, metric)] if gold is not None else []
        rows.append([name, _summary(group, metric), *beside])
    return _table(rows, "gold" if gold is not None else "")


def _table(rows: Sequence[Sequence[str]], gold: str) -> list[str]:
    titles = ["", "this", *([gold, "to gold"] if gold else [])]
    return [_row(titles), "|:--|--:|" + ("--:|--:|" if gold else ""), *map(_row, rows)]


def _board(board: TextTable) -> list[str]:
    """A leaderboard as narrow as MLflow's column: a table per setting, methods with their options."""
    lines: list[str] = []
    before: tuple[str, ...] = ()
    for names, places in board.rows:
        setting, method = names[: len(SETTING)], [text for text in names[len(SETTING) :] if text != "default"]
        if setting != before:
            before = setting
            lines += [
                "",
                f"**{cell(' / '.join(setting))}**",
                "",
                _row(["method", *(cell(title) for title, _ in board.header)]),
            ]
            lines += ["|" + ":--|" + "--:|" * len(board.header)]
        lines.append(_row([cell(" ".join(method)), *(place(text).replace(" ", UNBROKEN) for text in places)]))
    return [*lines, "", *map(line, board.notes)]


def _row(texts: Sequence[str]) -> str:
    """MLflow's pages put no space between columns."""
    return "| " + " | ".join(f"{text}{SPACE}" for text in texts) + " |"


def _number(value: float) -> str:
    return f"{value:.{_digits(value)}f}"


def _summary(group: Group, metric: str) -> str:
    """Mean and spreads."""
    found = group.summary(metric)
    return "-" if found is None else _number(found.mean) + spread(found, _digits(found.mean))


def _digits(value: float) -> int:
    return 1 if abs(value) > 10 else 4


def _gap(group: Group, gold: Group, metric: str) -> str:
    found = None if metric in NO_GAP else gap(group, gold, metric)
    if found is None:
        return ""
    return f"{signed(found.value)} ({in_units(found)} of gold's spreads)"


def _code(commands: Sequence[str]) -> list[str]:
    return (
        ["Run it again, and where its figures come from:", "", "```", *map(code, commands), "```"]
        if commands
        else []
    )
