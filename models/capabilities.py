"""What can be asked of a recommender beside its lists. Light on purpose: no torch.

A backbone with embeddings has all of it. A model that scores users against items in another way (a closed
form, a language model that ranks candidates) says what it lacks and why in a class attribute ``lacks``.
Measurements and audits state what they need; where it is lacking they report "not applicable" and the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from enum import StrEnum


class Capability(StrEnum):
    """One thing that can be asked of a model."""

    EMBEDDINGS = "embeddings"
    """``embeddings()`` gives user and item vectors whose products are the scores."""
    PARAMETERS = "parameters"
    """``id_tables()`` and ``modules_by_branch()`` name trained weights, which compare with those of another
    model of the same backbone."""
    TRAINING = "training"
    """``loss`` has a gradient: further training changes what is recommended."""
    REBINDING = "rebinding"
    """``bind`` gives the model on whatever data it is handed."""
    UNMASKED = "unmasked"
    """It ranks a user's own training items like all others."""
    SCALE = "scale"
    """Scores are numbers of the backbone's kind; without it only their order has a meaning."""


def lacking(model: object) -> Mapping[Capability, str]:
    """What cannot be asked of a model, each with the reason; nothing where its class states no ``lacks``.

    Read here and not in the contract of backbones, whose code is part of the key of every trained model.
    """
    stated: Mapping[Capability, str] = getattr(model, "lacks", {})
    return stated


def reason_against(model: object, needs: Collection[Capability]) -> str:
    """Why a model cannot be asked for ``needs``: the first reason in the order of ``Capability``, or ""."""
    lacks = lacking(model)
    return next((lacks[one] for one in Capability if one in needs and one in lacks), "")
