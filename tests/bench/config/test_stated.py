"""What the overrides of a cell say in a few words, and where it goes."""

from __future__ import annotations

import pytest

from bench.config.compose import expand, expand_grid
from bench.config.overrides.stated import (
    LONGEST,
    as_override,
    distinguishing,
    parsed,
    stated_options,
    variant_of,
)
from bench.planning.planner import Planner


def test_options_are_told_and_labels_and_places_are_not() -> None:
    overrides = [
        *("method=scrub", "method.epochs=2", "train.batch_size=64", "regime.seed=1", "seed=3"),
        *("cache.dir=/elsewhere", "run.threads=1", "tracking.experiment=mine", "evaluate.lists=10"),
    ]
    assert variant_of(overrides) == "epochs=2 train.batch_size=64 evaluate.lists=10"
    assert variant_of(["method=scrub"], tuned="gold") == "oracle-tuned"
    assert variant_of(["method=scrub", "tuned_target=proxy"], tuned="proxy") == "gold-free-tuned"
    assert variant_of(["method=scrub", "seed=1"]) == ""
    assert stated_options(overrides) == ["epochs"]


def test_a_variant_of_any_length_fits_a_name() -> None:
    long = variant_of([f"method.option_{number}={number}" for number in range(99)])
    assert len(long) == LONGEST
    assert long.endswith("...")


@pytest.mark.parametrize(
    "variant", ["epochs=2", "name='it\\'s, here' modules=[id,fusion]", "a\\b=1", "path=c:\\"]
)
def test_a_job_reads_the_variant_as_it_was_told(variant: str) -> None:
    (told,) = as_override(variant)
    assert parsed(told).value() == variant


def test_only_what_differs_within_a_sweep_is_shown() -> None:
    assert distinguishing(["epochs=1 alpha=.5", "epochs=2 alpha=.5", "alpha=.5"]) == [
        "epochs=1",
        "epochs=2",
        "",
    ]
    assert distinguishing([]) == []


def test_cells_of_a_sweep_and_their_jobs_carry_it_and_their_keys_do_not() -> None:
    words = ["dataset=synthetic_tiny", "backbone=bpr", "method=scrub", "audit=none"]
    grid = expand_grid([*words, "method.epochs=1,2"], multirun=True)
    assert [config.variant for config in grid.configs] == ["epochs=1", "epochs=2"]
    assert [config.label for config in grid.configs] == [
        f"synthetic_tiny/bpr/user/scrub epochs={epochs}/seed 0" for epochs in (1, 2)
    ]
    assert all(
        job[-1] == f"variant='epochs={epochs}'" for job, epochs in zip(grid.overrides, (1, 2), strict=True)
    )
    own, again = (
        expand([*words, "method.epochs=1"], False),
        expand([*words, "method.epochs=1", "variant=x"], False),
    )
    planner = Planner()
    assert planner.plan(own[0]).keys == planner.plan(again[0]).keys
