"""What the image encoders share: pictures in, pooled features out, in inference mode on one device."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from datasets.features.base import ImageExtractor, Vectors, by_device, model_digest, model_path

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

FLAG = "--image-model"


class VisionEncoder(ImageExtractor):
    """A torch model with its own preparation of a picture."""

    @abstractmethod
    def load(self) -> tuple[Callable[[Tensor], Tensor], Callable[[Image], Tensor]]:
        """(model on its device and in evaluation mode: [B, 3, H, W] -> [B, d], picture -> [3, H, W])."""

    @abstractmethod
    def package(self) -> Any:
        """The library. Raises ``InputError`` where it is missing."""

    def check(self) -> None:
        """Raise ``InputError`` where the package or the model is missing."""
        self.package()
        if not self.options.download:
            model_path(self.options, FLAG)

    def model_identity(self) -> dict[str, Any]:
        """Checksum of the model's files, its name where it is fetched, and the architecture."""
        known: dict[str, Any] = {"version": self.package().__version__}
        known["architecture"] = self.options.architecture
        if self.options.download:
            return {**known, "model": self.options.model}
        return {**known, "model_sha256": model_digest(model_path(self.options, FLAG))}

    def vectors(self, images: Sequence[Image]) -> Vectors:
        """float32 [len(images), d]."""
        import torch

        model, prepare = self._loaded
        batch = torch.stack([prepare(image) for image in images]).to(by_device(self.options))
        with torch.inference_mode():
            return np.asarray(model(batch).float().flatten(1).cpu().numpy(), dtype=np.float32)

    @cached_property
    def _loaded(self) -> tuple[Callable[[Tensor], Tensor], Callable[[Image], Tensor]]:
        return self.load()
