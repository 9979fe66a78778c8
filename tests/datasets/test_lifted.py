"""Lifted features: wider, of the same geometry, known by their key, and refused where they make no sense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.config.compose import expand
from datasets.errors import InputError
from datasets.lifted import LiftedMMRec, LiftedOptions
from datasets.mmrec import MMRec, MMRecOptions
from datasets.validation import check
from tests.datasets.test_mmrec import ITEMS, ROWS, write_features, write_inter

FEATURES = np.random.default_rng(0).standard_normal((ITEMS, 3)).astype(np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four items with three columns of image features."""
    place = tmp_path / "shop"
    place.mkdir()
    write_inter(place, ROWS)
    write_features(place, FEATURES)
    return place


def reader(folder: Path, seed: int = 0, **widths: int) -> LiftedMMRec:
    return LiftedMMRec("shop", LiftedOptions(folder.name, widths=widths, seed=seed), folder.parent)


def test_every_inner_product_is_kept(folder: Path) -> None:
    raw = reader(folder, image=50).read()
    check(raw, "shop")
    image = raw.features["image"]
    assert image.shape == (ITEMS, 50)
    assert image.dtype == np.float32
    assert np.allclose(image @ image.T, FEATURES @ FEATURES.T, atol=1e-5)
    assert np.count_nonzero(np.abs(image) > 1e-6) == image.size, "spread over all columns"


def test_the_same_width_is_a_rotation(folder: Path) -> None:
    image = reader(folder, image=3).read().features["image"]
    assert np.allclose(image @ image.T, FEATURES @ FEATURES.T, atol=1e-5)
    assert not np.allclose(image, FEATURES, atol=1e-2)


def test_without_widths_it_reads_what_the_files_hold(folder: Path) -> None:
    plain = MMRec("shop", MMRecOptions(folder.name), folder.parent).read()
    ours = reader(folder).read()
    assert np.array_equal(ours.features["image"], plain.features["image"])
    assert np.array_equal(ours.train, plain.train)


def test_the_lift_is_part_of_the_identity_and_follows_from_it(folder: Path) -> None:
    identities = [reader(folder, 0, image=50), reader(folder, 1, image=50), reader(folder, 0, image=51)]
    assert len({repr(one.identity()) for one in identities}) == 3
    first, again = (reader(folder, image=50).read().features["image"] for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, reader(folder, 1, image=50).read().features["image"], atol=1e-3)


@pytest.mark.parametrize(
    ("widths", "message"),
    [
        ({"text": 9}, "dataset.widths names text, which has no feature file in shop: choose from image."),
        ({"image": 2}, "dataset.widths.image=2 is below the 3 columns of the file: give 3 or more."),
    ],
)
def test_what_cannot_be_lifted_is_refused(folder: Path, widths: dict[str, int], message: str) -> None:
    with pytest.raises(InputError) as caught:
        reader(folder, **widths).read()
    assert str(caught.value) == message


@pytest.mark.parametrize("backbone", ["mgcn", "mig_gt"])
def test_the_wide_baby_trains_its_backbones_as_baby_does(backbone: str) -> None:
    """Published hyper-parameters are found by the name of the data set, which is another one here."""
    narrow, wide = (
        expand([f"dataset={name}", f"backbone={backbone}"], multirun=False)[0]
        for name in ("baby", "baby_wide")
    )
    assert narrow.backbone == wide.backbone
    assert narrow.train == wide.train
