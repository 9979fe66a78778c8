"""What a command will read and do, found out from the beginnings of files; the dry run prints it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from datasets.errors import InputError
from datasets.features import OFFLINE
from datasets.features.base import Extractor, ModelOptions, extractor
from datasets.prepare.given import check_given
from datasets.prepare.item_fields import id_field
from datasets.prepare.item_records import field_names
from datasets.prepare.pictures import listing
from datasets.prepare.sources import describe, format_of
from datasets.prepare.sources.base import Source
from datasets.prepare.sources.microlens import PLACE
from datasets.prepare.sources.options import NONE, FeatureOptions, PrepareOptions, check_options


@dataclass(frozen=True)
class Plan:
    """Checked options, the files behind them, and the extractor of each modality that has one."""

    options: PrepareOptions
    sources: list[Source]
    extractors: dict[str, Extractor]

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities that the data set will have, sorted."""
        return tuple(sorted(self.extractors.keys() | self.options.features.given.keys()))


def make_plan(options: PrepareOptions) -> Plan:
    """Check everything that can be checked before a file is read as a whole. Raises ``InputError``."""
    check_options(options)
    sources = [describe(path, options.source) for path in options.source.files]
    _check_times(options, sources)
    for path in options.items.files:
        name = format_of(path, options.items.format)
        id_field(path, field_names(path, name), options.items.id_column)
    if options.items.images is not None:
        listing(options.items.images)
    for path in options.features.given.values():
        check_given(path)
    return Plan(options, sources, _extractors(options))


def print_plan(plan: Plan, console: Console) -> None:
    """What would be read and made. Writes nothing."""
    options = plan.options
    table = Table(title=f"preparing {options.name} in {options.out}")
    for title in ("file", "format", "size", "columns"):
        table.add_column(title, overflow="fold")
    for source in plan.sources:
        columns = ", ".join(f"{role}: {column}" for role, column in source.columns.items())
        table.add_row(str(source.path), source.format, _size(source.path), columns)
    for path in options.items.files:
        name = format_of(path, options.items.format)
        table.add_row(str(path), name, _size(path), ", ".join(field_names(path, name)))
    if options.items.images is not None:
        table.add_row(str(options.items.images), "pictures", f"{len(listing(options.items.images)):,}", "")
    for modality, path in options.features.given.items():
        table.add_row(str(path), "features", _size(path), modality)
    console.print(table)
    filters, split = options.filters, options.split
    rating = "all ratings" if filters.min_rating is None else f"ratings from {filters.min_rating:g}"
    console.print(f"{rating}, {filters.duplicates} of duplicates, {filters.k_core}-core, split {split.name}")
    for modality in plan.modalities:
        made = plan.extractors.get(modality)
        told = "from a file" if made is None else made.identity().get("label", made.identity()["extractor"])
        console.print(f"{modality}: {told}")
    if options.out.exists():
        console.print(f"{options.out} is there: unless it was made from the same, this needs --overwrite.")
    console.print("Nothing was written.")


def _check_times(options: PrepareOptions, sources: Sequence[Source]) -> None:
    name = options.split.name
    for source in sources:
        if name != "random" and "time" not in source.columns:
            raise InputError(
                f"--split {name} needs times and {source.path} has none: name their column with "
                "--time-column, or choose --split random."
            )
        if name == "temporal" and source.columns["time"] == PLACE:
            raise InputError(
                f"--split temporal needs times that hold across users and {source.path} has only the order "
                "within each user: take the file with times, or choose --split leave_one_out."
            )


def _extractors(options: PrepareOptions) -> dict[str, Extractor]:
    wanted = options.features
    there = {"text": bool(options.items.files), "image": options.items.images is not None}
    names = {"text": wanted.text, "image": wanted.image}
    flags = {"text": "--items", "image": "--images"}
    found: dict[str, Extractor] = {}
    for modality, name in names.items():
        if modality in wanted.given or name == NONE or (name is None and not there[modality]):
            continue
        if not there[modality]:
            raise InputError(f"--{modality}-features {name} needs {flags[modality]}: say where they are.")
        found[modality] = extractor(modality, name or OFFLINE[modality], _model_options(wanted, modality))
    return found


def _model_options(options: FeatureOptions, modality: str) -> ModelOptions:
    return ModelOptions(
        model=options.text_model if modality == "text" else options.image_model,
        architecture=options.image_architecture if modality == "image" else None,
        dim=options.dim,
        device=options.device,
        batch_size=options.batch_size,
        download=options.download,
    )


def _size(path: Path) -> str:
    return f"{path.stat().st_size / 1e6:,.1f} MB"
