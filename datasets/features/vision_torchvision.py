"""Image features by a torchvision classifier without its last layer, from a local weight file.

``--image-model`` is a weight file (``.pth``, ``.pt`` or ``.safetensors``) or a folder with one;
``--image-architecture`` is the name of torchvision's builder, by default what the file name says before its
first hyphen (``resnet50-11ad3fa6.pth``).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datasets.errors import InputError
from datasets.features.base import by_device, model_path, require
from datasets.features.vision import FLAG, VisionEncoder

if TYPE_CHECKING:
    from PIL.Image import Image
    from torch import Tensor

LAST_LAYERS = ("fc", "classifier", "head", "heads")
"""Where torchvision's classifiers keep the layer that makes classes."""

ENDINGS = (".pth", ".pt", ".safetensors")


class TorchvisionEncoder(VisionEncoder):
    """The pooled features that the last layer would get; pictures are prepared as for ImageNet."""

    def package(self) -> Any:
        """torchvision."""
        return require("torchvision", "torchvision")

    def identity(self) -> dict[str, Any]:
        """Version, architecture and checksum of the weights."""
        return {"extractor": "torchvision", **self.model_identity()}

    def check(self) -> None:
        """Raise ``InputError`` where the package, the weights or the architecture is missing."""
        super().check()
        if not self.options.download:
            self._file()
        known = self.package().models.list_models()
        if self._architecture() not in known:
            raise InputError(
                f"--image-architecture {self._architecture()} is not known to torchvision: state one of "
                "its models, such as resnet50."
            )

    def load(self) -> tuple[Callable[[Tensor], Tensor], Callable[[Image], Tensor]]:
        """The model without its last layer, and ImageNet's preparation."""
        import torch

        models = self.package().models
        if self.options.download:
            model = models.get_model(self._architecture(), weights="DEFAULT")
        else:
            model = models.get_model(self._architecture(), weights=None)
            model.load_state_dict(_weights(self._file()))
        name = next(name for name in LAST_LAYERS if hasattr(model, name))
        setattr(model, name, torch.nn.Identity())
        return model.to(by_device(self.options)).eval(), self._preparation()

    def _preparation(self) -> Callable[[Image], Tensor]:
        require("torchvision.transforms", "torchvision")
        transforms = self.package().transforms
        steps = [transforms.Resize(256), transforms.CenterCrop(224), transforms.ToTensor()]
        steps.append(transforms.Normalize(mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]))
        prepare: Callable[[Image], Tensor] = transforms.Compose(steps)
        return prepare

    def _architecture(self) -> str:
        if self.options.architecture is not None:
            return self.options.architecture
        return str(self.options.model) if self.options.download else self._file().stem.partition("-")[0]

    def _file(self) -> Path:
        path = model_path(self.options, FLAG)
        files = [path] if path.is_file() else sorted(f for f in path.iterdir() if f.suffix in ENDINGS)
        if len(files) != 1:
            raise InputError(
                f"{FLAG} {path} holds {len(files)} weight files ({', '.join(ENDINGS)}): give the one to use."
            )
        return files[0]


def _weights(path: Path) -> dict[str, Any]:
    import torch
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        return load_file(path)
    weights: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return weights
