"""How a backbone is trained: the options that every backbone shares (``train.*``). No torch in here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from datasets.errors import InputError

Positive = Annotated[int, Field(ge=1)]


@dataclass(frozen=True)
class TrainConfig:
    """The training loop, the same for every backbone; the defaults are those of MMRec."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    batch_size: Positive = 2048
    max_epochs: Positive = 1000
    patience: Annotated[int, Field(ge=0)] = 20
    """Stop when more than this many evaluations one after another did not improve validation recall@20."""
    stop: Literal["patience", "fixed"] = "patience"
    """``patience``: stop by validation recall and keep the best epoch's weights. ``fixed``: train exactly
    ``fixed_epochs`` and keep the last weights, without selection: gold's figures are then free of the noise
    of its stopping epoch. ``max_epochs`` and ``patience`` have no effect with it."""
    fixed_epochs: Positive | None = None
    """Epochs of ``stop=fixed``; null with any other."""
    eval_every: Positive = 1
    lr_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Learning rate = learning_rate * lr_decay ** (epoch / lr_decay_every)."""
    lr_decay_every: Positive = 1
    matmul_precision: Literal["highest", "high", "medium"] = "highest"
    """Of float32 matrix products: highest is float32; high takes TF32 and medium bfloat16 inputs where the
    device has them, accumulated in float32 (torch.set_float32_matmul_precision). Holds for the steps of
    training and unlearning; selection and final figures are computed as without it."""
    compile: bool = False
    """Compile the loss with torch.compile (on CUDA with graph capture). Training only, not the methods."""

    @property
    def epochs(self) -> int:
        """Epochs at most; with ``stop=fixed`` exactly as many."""
        return self.fixed_epochs if self.stop == "fixed" and self.fixed_epochs else self.max_epochs

    def check(self) -> None:
        """Raise ``InputError`` where the stopping rule and its number of epochs do not go together."""
        if self.stop == "fixed" and self.fixed_epochs is None:
            raise InputError("train.stop=fixed needs a number of epochs: set train.fixed_epochs=<number>.")
        if self.stop != "fixed" and self.fixed_epochs is not None:
            raise InputError(
                f"train.fixed_epochs={self.fixed_epochs} has no effect with train.stop={self.stop}: "
                "set train.stop=fixed, or leave it null."
            )


@dataclass(frozen=True)
class RepairConfig:
    """The repair stage after every method alike (``bench/cell/repair.py``)."""

    name: str = "none"
    batches: Annotated[int, Field(ge=0)] = 0
    """Batches of the retain set; 0: no stage."""
    learning_rate: Annotated[float, Field(gt=0)] | None = None
    """Of the stage's own Adam; null means the backbone's."""
