"""Image features without a model: colour and texture histograms.

Colour: joint histogram of hue, saturation and value (8 x 4 x 4 bins), over the whole picture and over its
four quarters. Texture: uniform local binary patterns of 8 neighbours (T. Ojala, M. Pietikäinen and
T. Mäenpää, 2002), 59 bins, at two scales. Histograms sum to one and enter by their square root, so that
their dot product is the Bhattacharyya coefficient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from datasets.features.base import ImageExtractor, Vectors

if TYPE_CHECKING:
    from PIL.Image import Image

SIDE = 128
HSV_BINS = (8, 4, 4)
NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
SCALES = (1, 2)

Bytes = NDArray[np.uint8]


class Histograms(ImageExtractor):
    """Colour and texture: 5 x 128 + 2 x 59 = 758 numbers per picture."""

    needs_model = False

    def check(self) -> None:
        """Nothing is needed beyond Pillow, which Lethe requires."""

    def identity(self) -> dict[str, Any]:
        """Name and sizes. Pillow decodes and resizes, so its version is part of it."""
        import PIL

        return {
            "extractor": "histogram",
            "label": "colour and texture histograms: no model",
            "pillow": PIL.__version__,
            "side": SIDE,
            "hsv_bins": list(HSV_BINS),
            "scales": list(SCALES),
        }

    def vectors(self, images: Sequence[Image]) -> Vectors:
        """float32 [len(images), 758]."""
        return np.stack([_describe(image) for image in images])


def _describe(image: Image) -> Vectors:
    from PIL.Image import Resampling

    small = image.resize((SIDE, SIDE), Resampling.BILINEAR)
    hsv, grey = np.asarray(small.convert("HSV")), np.asarray(small.convert("L"))
    half = SIDE // 2
    quarters = [hsv[y : y + half, x : x + half] for y in (0, half) for x in (0, half)]
    parts = [_colour(part) for part in (hsv, *quarters)]
    parts += [_texture(grey, scale) for scale in SCALES]
    return np.concatenate(parts).astype(np.float32)


def _colour(hsv: Bytes) -> NDArray[np.float64]:
    """Square root of the joint histogram of a [h, w, 3] picture."""
    code = np.zeros(hsv.shape[:2], dtype=np.int64)
    for channel, bins in enumerate(HSV_BINS):
        code = code * bins + (hsv[..., channel].astype(np.int64) * bins >> 8)
    return _root(np.bincount(code.ravel(), minlength=int(np.prod(HSV_BINS))))


def _texture(grey: Bytes, scale: int) -> NDArray[np.float64]:
    """Square root of the histogram of local binary patterns at a distance of ``scale`` pixels."""
    levels = grey.astype(np.int16)
    inner = slice(scale, -scale)
    centre = levels[inner, inner]
    pattern = np.zeros(centre.shape, dtype=np.int64)
    for bit, (down, right) in enumerate(NEIGHBOURS):
        moved = np.roll(levels, (-down * scale, -right * scale), axis=(0, 1))[inner, inner]
        pattern |= (moved >= centre).astype(np.int64) << bit
    return _root(np.bincount(_uniform_codes()[pattern].ravel(), minlength=59))


def _uniform_codes() -> NDArray[np.int64]:
    """Bin of each of the 256 patterns: 58 with at most two changes around the circle, one for the rest."""
    patterns = np.arange(256)
    turned = (patterns << 1 & 255) | patterns >> 7
    changes = np.array([int(changed).bit_count() for changed in patterns ^ turned])
    uniform = changes <= 2
    return np.where(uniform, np.cumsum(uniform) - 1, 58)


def _root(counts: NDArray[np.int64]) -> NDArray[np.float64]:
    root: NDArray[np.float64] = np.sqrt(counts / counts.sum())
    return root
