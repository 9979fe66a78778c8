"""A folder given by its path: what ``python -m datasets prepare`` leaves, or any of the MMRec layout."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from datasets.errors import InputError
from datasets.mmrec import MMRec


@dataclass(frozen=True)
class FolderOptions:
    """Where the folder is and which content to use."""

    path: str | None = None
    """The folder, absolute or below the current directory; its ``.inter`` file bears its name, or is the
    only one in it."""
    modalities: tuple[str, ...] | None = None
    """Content to read; null for every one of image, text and audio that has a file."""


class Folder(MMRec):
    """Reads the MMRec layout from a path instead of from below ``data_root``."""

    Options = FolderOptions  # type: ignore[assignment]
    options: FolderOptions  # type: ignore[assignment]

    @cached_property
    def _folder(self) -> Path:
        if not self.options.path:
            raise InputError("dataset=folder needs the path of a prepared folder: add dataset.path=<folder>.")
        folder = Path(self.options.path)
        if not folder.is_dir():
            raise InputError(
                f"dataset.path={folder} is not a folder: give the folder that python -m datasets prepare "
                "wrote, or one in the MMRec layout."
            )
        return folder.resolve()

    def _inter(self) -> Path:
        found = sorted(self._folder.glob("*.inter"))
        if len(found) == 1:
            return found[0]
        return super()._inter()
