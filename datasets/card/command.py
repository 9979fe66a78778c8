"""``python -m datasets card NAME``: the card of any data set that Lethe can read."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from datasets.card.content import card_of
from datasets.card.render import FILES, markdown, write_card
from datasets.named import default_data_root, reader_named
from datasets.validation import check

PROVENANCE = "provenance.json"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument(
        "name", help="a data set of conf/dataset, or a folder (below the data root, or a path)"
    )
    parser.add_argument("--data-root", type=Path, default=None, help="default: LETHE_DATA, else ./data")
    parser.add_argument("--out", type=Path, default=None, help=f"write {', '.join(FILES)} into this folder")


def run(arguments: argparse.Namespace) -> None:
    """Print the card as Markdown, or write it. Raises ``InputError``."""
    reader = reader_named(arguments.name, arguments.data_root or default_data_root())
    raw = reader.read()
    check(raw, reader.name)
    provenance = next((path for path in reader.documents() if path.name == PROVENANCE), None)
    told = json.loads(provenance.read_text(encoding="utf-8")) if provenance is not None else None
    card = card_of(reader.name, raw, told)
    if arguments.out is None:
        print(markdown(card), end="")
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    write_card(card, arguments.out)
    print(f"written: {', '.join(str(arguments.out / name) for name in FILES)}")
