"""Image features by open-clip, from a local folder with ``open_clip_config.json`` and weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from datasets.features.base import by_device, require
from datasets.features.vision import VisionEncoder

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


class ClipEncoder(VisionEncoder):
    """The image tower; pictures are prepared as the model's configuration says."""

    def package(self) -> Any:
        """open_clip."""
        return require("open_clip", "open-clip-torch")

    def identity(self) -> dict[str, Any]:
        """Version and checksum of the model's files."""
        return {"extractor": "open-clip", **self.model_identity()}

    def load(self) -> tuple[Callable[[Tensor], Tensor], Callable[[Image], Tensor]]:
        """The image tower and its own preparation."""
        name = self.options.model if self.options.download else f"local-dir:{self.options.model}"
        model, prepare = self.package().create_model_from_pretrained(name, device=by_device(self.options))
        return model.eval().encode_image, prepare
