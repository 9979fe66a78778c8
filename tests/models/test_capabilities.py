"""What a model cannot be asked for is said by it, with the reason."""

from __future__ import annotations

import pytest

from bench.config.registry import load_class, registry
from models.capabilities import Capability, lacking, reason_against


class Ranker:
    lacks = {Capability.SCALE: "it only orders", Capability.EMBEDDINGS: "it has no vectors"}  # noqa: RUF012


def test_the_first_reason_against_what_is_needed_is_given() -> None:
    assert reason_against(Ranker(), [Capability.SCALE]) == "it only orders"
    assert reason_against(Ranker(), [Capability.SCALE, Capability.EMBEDDINGS]) == "it has no vectors"
    assert reason_against(Ranker(), [Capability.TRAINING]) == reason_against(Ranker(), []) == ""


@pytest.mark.parametrize("backbone", sorted(registry("backbone")))
def test_a_backbone_that_has_embeddings_can_be_asked_for_everything(backbone: str) -> None:
    assert not lacking(load_class("backbone", backbone)) or Capability.EMBEDDINGS in lacking(
        load_class("backbone", backbone)
    )
