"""A folder of the MMRec layout whose features are lifted to a greater width, with their geometry kept.

Where raw features are trained, their width decides how large a part of the model they are. Stand-in
features are narrow: 64 columns where Amazon's images have 4096. Multiplied by a random matrix with
orthonormal rows, Q Q^T = I, the rows of X [items, d] get any width and keep every inner product:
(X Q)(X Q)^T = X X^T. So do distances, cosines and item graphs.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from datasets.errors import InputError
from datasets.interactions import RawDataset
from datasets.mmrec import MMRec

LIFT_VERSION = 1
"""Raise it with every change that alters what is lifted from the same files: it is part of every key."""


@dataclass(frozen=True)
class LiftedOptions:
    """Where the files are, which content to use, and how wide it becomes."""

    folder: Annotated[str, Field(min_length=1)]
    """Folder below ``data_root``; also the stem of the ``.inter`` file."""
    modalities: tuple[str, ...] | None = None
    """Content to read; null for every one of image, text and audio that has a file."""
    widths: dict[str, Annotated[int, Field(ge=1)]] = field(default_factory=dict)
    """Columns by modality after the lift, at least as many as before; others stay as they are."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the random directions."""


class LiftedMMRec(MMRec):
    """Reads like ``MMRec``, then lifts."""

    Options = LiftedOptions  # type: ignore[assignment]
    options: LiftedOptions  # type: ignore[assignment]

    def identity(self) -> dict[str, Any]:
        """That of the files, with the lift as a further part."""
        lift = {"widths": dict(self.options.widths), "seed": self.options.seed, "version": LIFT_VERSION}
        return {**super().identity(), "lift": lift}

    def read(self) -> RawDataset:
        """Read and lift. Raises ``InputError`` where a width is for no feature array or below its own."""
        raw = super().read()
        features = dict(raw.features)
        for place, (modality, width) in enumerate(sorted(self.options.widths.items())):
            if modality not in features:
                raise InputError(
                    f"dataset.widths names {modality}, which has no feature file in {self.options.folder}: "
                    f"choose from {', '.join(sorted(features)) or 'none'}."
                )
            own = features[modality].shape[1]
            if width < own:
                raise InputError(
                    f"dataset.widths.{modality}={width} is below the {own} columns of the file: "
                    f"give {own} or more."
                )
            rng = np.random.default_rng((self.options.seed, place))
            features[modality] = lifted(features[modality], width, rng)
        return replace(raw, features=features)


def lifted(features: NDArray[Any], width: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """X Q as float32 [items, width] for X [items, d], with random orthonormal rows Q [d, width]."""
    basis, triangle = np.linalg.qr(rng.standard_normal((width, features.shape[1])))
    rows = (basis * np.sign(np.diag(triangle))).T  # the sign makes the directions uniform
    result: NDArray[np.float32] = (np.asarray(features, dtype=np.float64) @ rows).astype(np.float32)
    return result
