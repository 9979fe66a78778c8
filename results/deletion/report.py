"""The deletion report as one page of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from results.names.titles import TITLES

NOT_KNOWN = "not known"
SHOWN = 20
"""Ids that the page names; the JSON beside it has all."""
ROLES = ("unlearned", "gold", "original")
BEHAVIOUR = ("fairness", "popularity", "representation")
"""Audits that describe what changed for others and claim no memory; the JSON has them."""


def to_markdown(facts: Mapping[str, Any]) -> str:
    """The page, from ``results.deletion.facts``."""
    labels = facts["labels"]
    parts = [
        f"# Deletion report: {labels['dataset']}, {labels['regime']} request {labels['request']}",
        "",
        *_what(facts),
        "",
        *_how(facts),
        "",
        *_whether(facts),
        "",
        *_where(facts),
    ]
    return "\n".join(parts) + "\n"


def _what(facts: Mapping[str, Any]) -> list[str]:
    request = facts["request"]
    lines = ["## What had to be forgotten", "", "| | number | ids |", "|:--|--:|:--|"]
    for kind in ("users", "items", "pairs"):
        count = request["counts"][kind]
        shown = NOT_KNOWN if count is None else f"{count:,.0f}"
        lines.append(f"| {kind} | {shown} | {_ids(request[kind])} |")
    return [*lines, "", f"Ids are {request['ids']} ids. Pairs are training pairs, user then item."]


def _how(facts: Mapping[str, Any]) -> list[str]:
    labels, method = facts["labels"], facts["method"]
    options = [
        f"{key.removeprefix('method.')}={value}" for key, value in method.items() if key != "method.name"
    ]
    name = TITLES.get(labels["method"], labels["method"])
    lines = [
        "## How",
        "",
        f"{name} on {TITLES.get(labels['backbone'], labels['backbone'])}, seed {labels['seed']}.",
    ]
    lines += ["", f"Options: {', '.join(options) or 'none'}.", "", "| cost | |", "|:--|--:|"]
    return [*lines, *(f"| {title} | {_number(value)} |" for title, value in facts["cost"].items())]


def _whether(facts: Mapping[str, Any]) -> list[str]:
    lines = ["## Whether it is forgotten", ""]
    lines += ["Gold was trained anew without what had to be forgotten; a good deletion is close to it.", ""]
    lines += ["| recall@20 | unlearned | gold | original |", "|:--|--:|--:|--:|"]
    lines += [_row(name, figures) for name, figures in facts["recall_at_20"].items()]
    lines += ["", _distance(facts["distance_to_gold"]), ""]
    if not facts["audits"]:
        return [*lines, "No audit was run: `audit=standard` runs the membership attack and others."]
    lines += ["| audit | unlearned [95 % interval] | gold | original |", "|:--|--:|--:|--:|"]
    shown = {name: it for name, it in facts["audits"].items() if name.partition("/")[0] not in BEHAVIOUR}
    return [*lines, *(_row(name, figures) for name, figures in shown.items())]


def _distance(found: Mapping[str, Any] | None) -> str:
    if found is None or found["excess"] is None:
        return (
            "Distance of the lists to gold models of other training seeds: not known "
            "(it takes `method=retrain` with two training seeds)."
        )
    return (
        f"Top-20 lists differ from those of gold models of other training seeds by {found['distance']:.4f}, "
        f"and these from each other by {found['floor']:.4f}: an excess of {found['excess']:+.4f} "
        f"({found['over']})."
    )


def _where(facts: Mapping[str, Any]) -> list[str]:
    provenance = facts["provenance"]
    device = ", ".join(f"{key} {value}" for key, value in provenance["device"].items())
    versions = ", ".join(f"{key} {value}" for key, value in provenance["versions"].items())
    kept = facts["model"]
    return [
        "## Where this comes from",
        "",
        f"- Run {facts['run']}, cell {facts['cell_key']}.",
        f"- Code: commit {provenance['commit'] or NOT_KNOWN}.",
        f"- Device: {device or NOT_KNOWN}.",
        f"- Packages: {versions or NOT_KNOWN}.",
        f"- Model: {f'{kept}, in the folder model' if kept else 'not kept (run.save_model=true keeps it)'}.",
    ]


def _ids(ids: Sequence[Any] | None) -> str:
    if ids is None:
        return NOT_KNOWN
    texts = [_escaped(one if isinstance(one, str) else " ".join(one)) for one in ids[:SHOWN]]
    more = f", and {len(ids) - SHOWN:,} more in report.json" if len(ids) > SHOWN else ""
    return (", ".join(texts) or "none") + more


def _row(name: str, figures: Mapping[str, float | None]) -> str:
    own, *others = (_number(figures[role]) for role in ROLES)
    low, high = figures.get("low"), figures.get("high")
    interval = "" if low is None or high is None else f" [{low:.4f}, {high:.4f}]"
    return f"| {name} | {own}{interval} | {' | '.join(others)} |"


def _number(value: float | None) -> str:
    if value is None:
        return NOT_KNOWN
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 1 else f"{value:,.4f}"


def _escaped(text: str) -> str:
    """An id as text of a cell of a table."""
    for sign in "\\`*_{}[]<>|":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())
