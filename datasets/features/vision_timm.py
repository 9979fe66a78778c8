"""Image features by timm, from a local folder with ``config.json`` and weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from datasets.features.base import by_device, require
from datasets.features.vision import VisionEncoder

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor


class TimmEncoder(VisionEncoder):
    """The pooled features (``num_classes=0``); pictures are prepared as the model's configuration says."""

    def package(self) -> Any:
        """timm."""
        return require("timm", "timm")

    def identity(self) -> dict[str, Any]:
        """Version and checksum of the model's files."""
        return {"extractor": "timm", **self.model_identity()}

    def load(self) -> tuple[Callable[[Tensor], Tensor], Callable[[Image], Tensor]]:
        """The model and its own preparation."""
        timm = self.package()
        data = require("timm.data", "timm")
        name = self.options.model if self.options.download else f"local-dir:{self.options.model}"
        model = timm.create_model(name, pretrained=True, num_classes=0)
        prepare: Callable[[Image], Tensor] = data.create_transform(
            **data.resolve_model_data_config(model), is_training=False
        )
        return model.to(by_device(self.options)).eval(), prepare
