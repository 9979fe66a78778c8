"""Descriptions of runs and of the experiment: Markdown that MLflow shows on their pages.

Nothing here depends on a clock or a machine: the same runs give the same text.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from bench.record.names import SPEEDUP
from results.formats.markdown import place
from results.mlflow_ui.aggregate import seeds_text
from results.mlflow_ui.names import NOTE_LIMIT, run_link, title
from results.mlflow_ui.views import SECONDS, VIEWS, view_link
from results.runs.frame import CellRun
from results.runs.groups import SETTING, Group
from results.runs.statistics import gap_to_gold, summary
from results.tables.explain import explain_command
from results.tables.leaderboard import COLUMNS
from results.tables.text_table import TextTable, signed

Headline = tuple[str, str]
HEADLINES: tuple[Headline, ...] = (
    *((metric, name) for metric, name, _ in COLUMNS),
    ("audit/backdoor/attack_success_rate", "backdoor success rate"),
    (SECONDS, "seconds of unlearning"),
)
"""Metric and how it is called."""
SPACE, UNBROKEN = "&nbsp;" * 3, "\u00a0"
NO_GAP = (SPEEDUP, SECONDS)
DOES = {
    "original": "is the model before anything was forgotten",
    "retrain": "is **gold**: trained anew without what was to be forgotten",
}


def cell_note(
    run: CellRun, options: str, command: str | None, gold: CellRun | None, means: str | None
) -> str:
    """Description of a finished cell.

    Args:
        options: how its options differ from the defaults, "" for none.
        command: runs it again.
        gold: the gold cell of its setting and seed.
        means: where the means over seeds of its group are shown.
    """
    labels = run.labels
    lines = [_about(labels, options), ""]
    others = None if gold is None or gold.run_id == run.run_id else {m: [v] for m, v in gold.metrics.items()}
    lines += _figures({metric: [value] for metric, value in run.metrics.items()}, others)
    if gold is None:
        lines += ["", "Gold of this setting and seed is not recorded: `method=retrain` adds it."]
    lines += ["", *([f"[Means over seeds]({means})", ""] if means else [])]
    commands = [command, None if options else explain_command(run)]
    return fitted([*lines, *_code([one for one in commands if one])])


def group_note(group: Group, gold: Group | None, experiment_id: str) -> str:
    """Description of the mean of a group."""
    labels = {"dataset": group.setting[0], "backbone": group.setting[1], "regime": group.setting[2]}
    about = _about(labels | {"method": group.method}, group.options)
    lines = [f"{about}: mean ± standard deviation over {seeds_text(len(group.seeds))}.", ""]
    metrics = [metric for metric, _ in HEADLINES]
    own = {metric: list(group.values(metric).values()) for metric in metrics}
    others = None
    if gold is not None and not group.is_gold:
        others = {metric: list(gold.values(metric).values()) for metric in metrics}
    lines += [*_figures(own, others), "", "Its cells:", ""]
    lines += [f"- [seed {run.seed}]({run_link(experiment_id, run.run_id)})" for run in group.last_runs()]
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
        folder: where the means over seeds are shown.
    """
    lines = [". ".join(facts) + f". [All means over seeds]({folder}).", ""]
    lines += [
        "**Artifacts:** `page.html` (everything, sortable), `leaderboard.md`, `leaderboard.csv`, `figures/`.",
        "",
    ]
    lines += ["```", command, "```", ""] if command else []
    if missing:
        lines += [f"**{len(missing)} cells are not finished; the same command runs them:**", ""]
        lines += [f"- {line}" for line in missing[:10]] + [""]
    return fitted([*lines, *(_board(board) if board else [])])


def folder_note(experiment_id: str) -> str:
    """Description of the run that holds the means over seeds together."""
    link = view_link(experiment_id, VIEWS[0])
    return (
        "Below this run: one run per setting, method and options, with the mean over its seeds of every "
        f"metric and the standard deviation under `std/`. [As a table]({link}). They are written anew after "
        "every sweep and by `python -m results refresh`; deleting them loses nothing.\n"
    )


def experiment_note(experiment_id: str) -> str:
    """Description of the experiment."""
    links = [f"- [{view.name}]({view_link(experiment_id, view)})" for view in VIEWS]
    lines = [
        "**Lethe: the benchmark for multimodal recommendation unlearning.** One run per cell (data set, "
        "backbone, regime, method, seed) below the sweep that ran it; means over seeds are own runs.",
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
    for line in lines:
        size += len(line) + 1
        if size > NOTE_LIMIT:
            break
        kept += 1
    more = len(lines) - kept
    rest = ["", f"… {more} more lines: see the artifacts."] if more else []
    return "\n".join([*lines[:kept], *rest]) + "\n"


def _about(labels: Mapping[str, str], options: str) -> str:
    """What a cell is, in one line."""
    method = labels["method"]
    does = DOES.get(method, f"forgets: regime `{labels['regime']}`")
    seed = f", seed {labels['seed']}" if "seed" in labels else ""
    own = f", options `{options}`" if options else ""
    return f"**{title(method)}** {does}. {title(labels['backbone'])} on {title(labels['dataset'])}{seed}{own}"


def _figures(own: Mapping[str, Sequence[float]], gold: Mapping[str, Sequence[float]] | None) -> list[str]:
    """The headline figures as a table, beside gold's where it is another model."""
    titles, rule = (
        ["", "this", *(["gold", "to gold"] if gold else [])],
        "|:--|--:|" + ("--:|--:|" if gold else ""),
    )
    lines = [_row(titles), rule]
    for metric, name in HEADLINES:
        values = _finite(own.get(metric, ()))
        if not values:
            continue
        others = _finite(gold.get(metric, ())) if gold else []
        beside = [_number(others), _gap(metric, values, others)] if gold else []
        lines.append(_row([name, _number(values), *beside]))
    return lines


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
                f"**{' / '.join(setting)}**",
                "",
                _row(["method", *(title for title, _ in board.header)]),
            ]
            lines += ["|" + ":--|" + "--:|" * len(board.header)]
        lines.append(_row([" ".join(method), *(place(text).replace(" ", UNBROKEN) for text in places)]))
    return [*lines, "", *board.notes]


def _row(texts: Sequence[str]) -> str:
    """MLflow's pages put no space between columns."""
    return "| " + " | ".join(f"{text}{SPACE}" for text in texts) + " |"


def _number(values: Sequence[float]) -> str:
    """Mean, and the sample standard deviation of several values."""
    if not values:
        return "-"
    found = summary(values)
    digits = 1 if abs(found.mean) > 10 else 4
    tail = "" if found.deviation is None else f" ± {found.deviation:.{digits}f}"
    return f"{found.mean:.{digits}f}{tail}"


def _gap(metric: str, values: Sequence[float], gold: Sequence[float]) -> str:
    if not gold or metric in NO_GAP:
        return ""
    gap = gap_to_gold(values, gold)
    units = "" if gap.units is None else f" ({gap.units:.1f} spreads)"
    return f"{signed(gap.value)}{units}"


def _finite(values: Iterable[float]) -> list[float]:
    return [value for value in values if math.isfinite(value)]


def _code(commands: Sequence[str]) -> list[str]:
    return ["Run it again, and where its figures come from:", "", "```", *commands, "```"] if commands else []
