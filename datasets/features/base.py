"""The contracts of extractors, and how one is found by its name."""

from __future__ import annotations

import hashlib
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError
from datasets.features import IMAGE, TEXT

if TYPE_CHECKING:
    from PIL.Image import Image

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class ModelOptions:
    """What an extractor may be told."""

    model: str | None = None
    """A local folder or weight file; a name only where ``download`` is set."""
    architecture: str | None = None
    dim: int = 128
    device: str = "auto"
    batch_size: int = 64
    download: bool = False


class Extractor(ABC):
    """Makes feature vectors.

    ``check`` raises ``InputError`` where a package or a model is missing, without loading a model;
    ``identity`` is JSON-able and covers everything that determines a vector.
    """

    needs_model = True
    """False for the offline alternatives; told in the provenance."""

    def __init__(self, options: ModelOptions) -> None:
        self.options = options

    @abstractmethod
    def check(self) -> None:
        """Raise ``InputError`` where something that is needed is not there."""

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Name, library version, checksums of the model's files, options."""


class CorpusExtractor(Extractor):
    """Looks at all texts at once."""

    @abstractmethod
    def vectors(self, texts: Sequence[str]) -> Vectors:
        """One row per text: float32 [len(texts), d]."""


class TextExtractor(Extractor):
    """Looks at one text at a time, in batches."""

    @abstractmethod
    def vectors(self, texts: Sequence[str]) -> Vectors:
        """One row per text: float32 [len(texts), d]."""


class ImageExtractor(Extractor):
    """Looks at one picture at a time, in batches."""

    @abstractmethod
    def vectors(self, images: Sequence[Image]) -> Vectors:
        """One row per RGB picture: float32 [len(images), d]."""


def extractor(modality: str, name: str, options: ModelOptions) -> Extractor:
    """The extractor of that name, checked. Raises ``InputError``."""
    known = TEXT if modality == "text" else IMAGE
    if name not in known:
        raise InputError(f"--{modality}-features {name} is not known: choose {', '.join(known)} or none.")
    module, _, attribute = known[name].partition(":")
    found: Extractor = getattr(importlib.import_module(module), attribute)(options)
    found.check()
    return found


def model_path(options: ModelOptions, flag: str) -> Path:
    """The local model. Raises ``InputError`` where it is not stated or not there."""
    if options.model is None:
        raise InputError(f"{flag} is not set: give the folder of the model on this machine.")
    path = Path(options.model)
    if not path.exists():
        raise InputError(
            f"{flag} {path} is not there: give the folder of the model on this machine, or allow fetching "
            "it by name with --download."
        )
    return path


def model_digest(path: Path) -> str:
    """SHA-256 over the names and contents of a model's files."""
    digest = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            name = str(file.relative_to(path)) if path.is_dir() else ""
            with file.open("rb") as stream:
                content = hashlib.file_digest(stream, "sha256").hexdigest()
            digest.update(f"{name}\0{content}\n".encode())
    return digest.hexdigest()


def require(package: str, distribution: str) -> Any:
    """Import an optional package. Raises ``InputError`` saying how to get it, or why it does not load."""
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name and error.name.partition(".")[0] not in (package, distribution.replace("-", "_")):
            raise InputError(
                f"{distribution} needs the package {error.name}, which is not installed: "
                "pip install -e '.[features]'."
            ) from error
        raise InputError(
            f"the package {distribution} is not installed: pip install -e '.[features]', or choose an "
            "extractor that needs no model."
        ) from error
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        raise InputError(
            f"the package {distribution} does not load ({reason}): its version may not fit that of torch."
        ) from error


def by_device(options: ModelOptions) -> str:
    """The device that ``auto`` stands for."""
    import torch

    if options.device != "auto":
        if options.device.startswith("cuda") and not torch.cuda.is_available():
            raise InputError(f"--device {options.device} is not there: choose cpu or auto.")
        return options.device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


Progress = Callable[[int, int], None]
"""Told (done, total)."""
