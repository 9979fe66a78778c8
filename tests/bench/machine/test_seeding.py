"""Derived seeds are stable and apart."""

from __future__ import annotations

import torch

from bench.machine.seeding import derive, deterministic, generator


def test_purposes_and_seeds_are_independent() -> None:
    seeds = {derive(seed, purpose) for seed in range(50) for purpose in ("train", "sampling", "unlearn:tru")}
    assert len(seeds) == 150


def test_the_derivation_never_changes() -> None:
    assert derive(0, "train") == 5321497867105534360


def test_generator_repeats_itself() -> None:
    cpu = torch.device("cpu")
    draws = [torch.rand(3, generator=generator(1, "x", cpu)) for _ in range(2)]
    assert torch.equal(*draws)


def test_deterministic_mode_is_restored() -> None:
    before = torch.are_deterministic_algorithms_enabled()
    with deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
    assert torch.are_deterministic_algorithms_enabled() == before
