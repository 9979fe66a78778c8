"""The command line of ``python -m datasets prepare``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, get_args

from pydantic import TypeAdapter, ValidationError
from rich.console import Console

from datasets.errors import InputError
from datasets.features import IMAGE, TEXT
from datasets.named import default_data_root
from datasets.prepare.sources.options import Duplicates, Format, Missing, PrepareOptions, Split

DESCRIPTION = "Make a data set folder from raw files. docs/prepare-data.md explains every step."


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("name", help="name of the data set: a-z 0-9 _ + . -")
    add = parser.add_argument
    add("--out", type=Path, default=None, help="the folder to make; default: <data root>/<name>")
    add("--dry-run", action="store_true", help="say what would be read and made; write nothing")
    add("--overwrite", action="store_true", help="replace a folder that this command made")
    add("--register", action="store_true", help="also write conf/dataset/<name>.yaml into the checkout")
    add("--memory-gib", type=float, default=4.0, help="memory of the whole command, roughly (default 4)")
    add("--threads", type=int, default=None, help="threads of sorting and joining; default: all cores")
    _add_interactions(parser.add_argument_group("interactions"))
    _add_items(parser.add_argument_group("items"))
    _add_features(parser.add_argument_group("features"))


def run(arguments: argparse.Namespace) -> None:
    """Prepare, or say what would be done. Raises ``InputError``."""
    from datasets.prepare.finish import register
    from datasets.prepare.pipeline import Pipeline
    from datasets.prepare.plan import make_plan, print_plan

    options = options_of(arguments)
    plan = make_plan(options)
    if arguments.dry_run:
        print_plan(plan, Console())
        return
    fresh = Pipeline(plan, lambda text: print(text, file=sys.stderr)).run()
    print(f"{options.out} {'is ready' if fresh else 'was prepared before from the same files and options'}")
    print(f"  python -m bench dataset=folder dataset.path={options.out}")
    if options.register:
        print(f"  python -m bench dataset={options.name}    ({register(options)})")
    else:
        print(f"  python -m bench --config-dir {options.out / 'conf'} dataset={options.name}")


def options_of(arguments: argparse.Namespace) -> PrepareOptions:
    """Checked options. Raises ``InputError`` for a value that does not fit."""
    a = arguments
    roles = ("user", "item", "rating", "time")
    values: dict[str, Any] = {
        "name": a.name,
        "out": a.out if a.out is not None else default_data_root() / a.name,
        "source": {
            "files": a.interactions,
            "format": a.format,
            "header": None if a.header is None else a.header.split(","),
            "columns": {role: getattr(a, f"{role}_column") for role in roles},
        },
        "items": {
            "files": a.items,
            "format": a.items_format,
            "id_column": a.items_id_column,
            "duplicates": a.items_duplicates,
            **_named(a, "seq_separator", "images", "broken_images"),
        },
        "filters": _named(a, "min_rating", "duplicates", "k_core"),
        "split": {"name": a.split, **_named(a, "valid_share", "test_share", "cold_pairs", "seed")},
        "features": {
            "text": a.text_features,
            "image": a.image_features,
            "dim": a.text_dim,
            "given": dict(_given(text) for text in a.features),
            "graphs": not a.no_graphs,
            **_named(a, "text_model", "image_model", "image_architecture", "missing"),
            **_named(a, "download", "device", "batch_size", "cache"),
        },
        **_named(a, "memory_gib", "threads", "overwrite", "register"),
    }
    try:
        return TypeAdapter(PrepareOptions).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = "--" + str(first["loc"][-1]).replace("_", "-")
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise InputError(f"{key} {first['input']} is not valid: {reason}.") from error


def _named(arguments: argparse.Namespace, *names: str) -> dict[str, Any]:
    """The arguments that bear the same name as the option."""
    return {name: getattr(arguments, name) for name in names}


def _add_interactions(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--interactions", type=Path, nargs="+", required=True, metavar="FILE", help="one or several files")
    add("--format", choices=get_args(Format), default="auto", help="default: by the ending of the name")
    for role in ("user", "item", "rating", "time"):
        none = ", or none to leave it out" if role in ("rating", "time") else ""
        add(f"--{role}-column", default=None, metavar="NAME", help=f"default: a usual name{none}")
    add("--header", default=None, metavar="A,B,...", help="columns of a CSV or TSV without a header")
    add("--min-rating", type=float, default=None, help="drop rows rated lower")
    add(
        "--duplicates",
        choices=get_args(Duplicates),
        default="first",
        help="of one user and item; default first",
    )
    add("--k-core", type=int, default=5, help="pairs that users and items need; 0 keeps all (default 5)")
    add("--split", choices=get_args(Split), default="random", help="default random, as MMRec: 8:1:1 per user")
    add("--valid-share", type=float, default=0.1, help="of a temporal split (default 0.1)")
    add("--test-share", type=float, default=0.1, help="of a temporal split (default 0.1)")
    add("--cold-pairs", choices=("keep", "drop"), default="keep", help="test pairs without a training pair")
    add("--seed", type=int, default=0, help="of the random split (default 0)")


def _add_items(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--items", type=Path, nargs="+", default=(), metavar="FILE", help="files that describe items")
    add("--items-format", choices=get_args(Format), default="auto", help="default: by the ending of the name")
    add("--items-id-column", default=None, metavar="NAME", help="default: a usual name")
    add("--items-duplicates", choices=("first", "error"), default="error", help="default error")
    add("--seq-separator", default=" ", help="of the values of a RecBole token_seq (default: a space)")
    add(
        "--images", type=Path, default=None, metavar="FOLDER", help="pictures called <item id>.jpg, .png, ..."
    )
    add("--broken-images", choices=("error", "missing"), default="error", help="default error")


def _add_features(group: argparse._ArgumentGroup) -> None:
    add = group.add_argument
    add("--text-features", default=None, metavar="NAME", help=f"{', '.join(TEXT)} or none; default tfidf")
    add(
        "--image-features",
        default=None,
        metavar="NAME",
        help=f"{', '.join(IMAGE)} or none; default histogram",
    )
    add("--text-model", default=None, metavar="FOLDER", help="local model folder")
    add("--image-model", default=None, metavar="PATH", help="local model folder or weight file")
    add("--image-architecture", default=None, metavar="NAME", help="torchvision: name of the architecture")
    add("--text-dim", type=int, default=128, help="columns of tfidf (default 128)")
    add(
        "--features",
        nargs="+",
        default=(),
        metavar="MODALITY=FILE",
        help="features from .npz, .parquet or .b",
    )
    add("--missing", choices=get_args(Missing), default="zero", help="items without content (default zero)")
    add("--no-graphs", action="store_true", help="write no graphs of nearest items")
    add("--download", action="store_true", help="let model libraries fetch models by name")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:<n>, mps")
    add("--batch-size", type=int, default=64)
    add("--cache", type=Path, default=Path("cache/features"), help="extracted features by content")


def _given(text: str) -> tuple[str, str]:
    modality, equals, path = text.partition("=")
    if not equals or not path:
        raise InputError(f"--features {text} is not MODALITY=FILE: write for example image=vectors.npz.")
    return modality, path
