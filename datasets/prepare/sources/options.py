"""What ``python -m datasets prepare`` is asked for. Light on purpose: no pyarrow, no DuckDB, no torch."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from datasets.errors import InputError

Format = Literal[
    "auto",
    "csv",
    "tsv",
    "parquet",
    "jsonl",
    "amazon2014",
    "amazon2018",
    "amazon2023",
    "microlens",
    "recbole",
]
Duplicates = Literal["first", "last", "error"]
Split = Literal["random", "leave_one_out", "temporal"]
Missing = Literal["zero", "mean", "drop"]
Share = Annotated[float, Field(gt=0, lt=1)]

NONE = "none"
"""As the name of a column: do not use it, although it is there. As features: extract none."""


@dataclass(frozen=True)
class Columns:
    """Names of the columns that are read; None: the first usual name that the file has."""

    user: str | None = None
    item: str | None = None
    rating: str | None = None
    time: str | None = None


@dataclass(frozen=True)
class SourceOptions:
    """Where interactions come from and how they are read."""

    files: tuple[Path, ...]
    format: Format = "auto"
    """``auto``: by the ending of the file name."""
    columns: Columns = field(default_factory=Columns)
    header: tuple[str, ...] | None = None
    """Names of the columns of a CSV or TSV file without a header."""


@dataclass(frozen=True)
class ItemOptions:
    """Where item text and pictures come from."""

    files: tuple[Path, ...] = ()
    format: Format = "auto"
    id_column: str | None = None
    """None: the first usual name that the file has."""
    duplicates: Literal["first", "error"] = "error"
    """An item that is described twice: keep the first description, or refuse the file."""
    seq_separator: str = " "
    """What separates the values of a RecBole ``token_seq``."""
    images: Path | None = None
    """Folder of pictures, called by the item's own id: ``B00X.jpg``."""
    broken_images: Literal["error", "missing"] = "error"
    """A picture that cannot be decoded: refuse it, or count it as missing."""


@dataclass(frozen=True)
class FilterOptions:
    """Which pairs stay."""

    min_rating: float | None = None
    """Pairs rated lower are dropped; None keeps all (the MMRec family keeps all)."""
    duplicates: Duplicates = "first"
    """Which of several rows of one user and item stays, by time where there is one, else by file order."""
    k_core: Annotated[int, Field(ge=0)] = 5
    """Users and items with fewer pairs are dropped until none is left; 0 or 1 keeps all. 5 as in MMRec."""


@dataclass(frozen=True)
class SplitOptions:
    """How pairs are split."""

    name: Split = "random"
    """``random``: per user, 8:1:1 as in MMRec; ``leave_one_out``: the last pair of each user;
    ``temporal``: two points in time for everybody (``datasets.splits``)."""
    valid_share: Share = 0.1
    """``temporal``: share of the pairs for validation."""
    test_share: Share = 0.1
    """``temporal``: share of the pairs for test."""
    cold_pairs: Literal["keep", "drop"] = "keep"
    """Validation and test pairs whose user or item has no training pair."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Seed of the random split."""


@dataclass(frozen=True)
class FeatureOptions:
    """Which features are made of text and pictures, or taken from files."""

    text: str | None = None
    """Name of a text extractor (``datasets.features.TEXT``), or ``none``; None: the offline one."""
    image: str | None = None
    """Name of an image extractor (``datasets.features.IMAGE``), or ``none``; None: the offline one."""
    text_model: str | None = None
    """Folder of the text model, or its name where ``download`` is set."""
    image_model: str | None = None
    """Folder or weight file of the image model, or its name where ``download`` is set."""
    image_architecture: str | None = None
    """torchvision, open-clip: name of the architecture where the model's folder does not tell."""
    dim: Annotated[int, Field(ge=1)] = 128
    """TF-IDF: columns that the truncated SVD leaves."""
    given: dict[str, Path] = field(default_factory=dict)
    """Feature files by modality (``datasets.features.given``); they win over extraction."""
    missing: Missing = "zero"
    """Items without content: a row of zeros, the mean of the others, or drop the item before the k-core."""
    graphs: bool = True
    """Write the graph of the ten nearest items of each modality."""
    download: bool = False
    """Let the model libraries fetch what is not on this machine."""
    device: str = "auto"
    batch_size: Annotated[int, Field(ge=1)] = 64
    cache: Path = Path("cache/features")
    """Folder of extracted features by content; can be deleted at any time."""


@dataclass(frozen=True)
class PrepareOptions:
    """One prepared data set."""

    name: str
    out: Path
    """The folder to be made; its last part is the data set's name."""
    source: SourceOptions
    items: ItemOptions = field(default_factory=ItemOptions)
    filters: FilterOptions = field(default_factory=FilterOptions)
    split: SplitOptions = field(default_factory=SplitOptions)
    features: FeatureOptions = field(default_factory=FeatureOptions)
    memory_gib: Annotated[float, Field(ge=1)] = 4.0
    """Memory of the whole command, roughly; sorting and joining go to disk beyond half of it."""
    threads: Annotated[int, Field(ge=1)] | None = None
    overwrite: bool = False
    """Replace a data set folder that is there."""
    register: bool = False
    """Also write conf/dataset/<name>.yaml into the checkout, for ``dataset=<name>``."""


NAME = re.compile(r"[a-z0-9_+.-]{1,64}")


def check_options(options: PrepareOptions) -> None:
    """Raise ``InputError`` for values that do not go together; looks at no file."""
    if not NAME.fullmatch(options.name) or options.name.startswith("."):
        raise InputError(
            f"the data set cannot be called {options.name!r}: use 1 to 64 of the characters a-z 0-9 _ + . -, "
            "not beginning with a dot."
        )
    split = options.split
    if split.name == "temporal" and split.valid_share + split.test_share >= 1:
        raise InputError(
            f"--valid-share {split.valid_share} and --test-share {split.test_share} leave nothing to train "
            "on: their sum must be below 1."
        )
    for modality in options.features.given:
        if not re.fullmatch(r"[a-z][a-z0-9]{0,31}", modality):
            raise InputError(
                f"--features {modality}=... is no name of a modality: use image, text or audio, or "
                "another word of lower-case letters and digits."
            )
