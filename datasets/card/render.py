"""A card as Markdown and as one page without further files."""

from __future__ import annotations

import html
from pathlib import Path

from datasets.card.content import Card, Section
from datasets.card.plot import degree_plot

FILES = ("card.md", "card.html", "degrees.svg")

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin-bottom: 1.5rem; }
td { border-bottom: 1px solid #8884; padding: .2rem 1.5rem .2rem 0; vertical-align: top; }
td + td { font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
svg { max-width: 100%; height: auto; background: #fff; }
:root { color-scheme: light dark; }
"""


def markdown(card: Card) -> str:
    """The card as Markdown; the plot is the file ``degrees.svg`` beside it."""
    parts = [f"# {card.name}", *(_markdown_table(section) for section in card.sections)]
    parts.append("## Degrees\n\n![Share of users and items by training pairs](degrees.svg)")
    return "\n\n".join(parts) + "\n"


def page(card: Card, plot: str) -> str:
    """The card as an HTML page that opens without a server; ``plot`` is that of ``degree_plot``."""
    svg = plot[plot.index("<svg") :]
    name = html.escape(card.name)
    tables = "\n".join(_html_table(section) for section in card.sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n<title>{name}</title>\n'
        f"<style>{STYLE}</style>\n<h1>{name}</h1>\n{tables}\n<h2>Degrees</h2>\n{svg}</html>\n"
    )


def write_card(card: Card, folder: Path) -> None:
    """Write ``card.md``, ``card.html`` and ``degrees.svg``."""
    plot = degree_plot(card.degrees)
    for name, text in zip(FILES, (markdown(card), page(card, plot), plot), strict=True):
        (folder / name).write_text(text, encoding="utf-8", newline="\n")


def _markdown_table(section: Section) -> str:
    rows = "\n".join(f"| {_cell(key)} | {_cell(value)} |" for key, value in section.rows)
    return f"## {section.title}\n\n| | |\n|---|---|\n{rows}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _html_table(section: Section) -> str:
    rows = "\n".join(
        f"<tr><td>{html.escape(key)}</td><td>{html.escape(value)}</td></tr>" for key, value in section.rows
    )
    return f"<h2>{html.escape(section.title)}</h2>\n<table>\n{rows}\n</table>"
