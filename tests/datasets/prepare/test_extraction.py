"""Extraction inside the command: batches, the cache by content, going on after a stop, bad vectors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL.Image import Image

from datasets.features import IMAGE, TEXT
from datasets.features.base import ImageExtractor, TextExtractor, Vectors
from tests.datasets.prepare.raw import ITEMS, content, digests, item, prepare, provenance, refused, write_shop


class MeanColour(ImageExtractor):
    """The mean colour, and the batches that it was shown; stops before batch ``stop``."""

    batches: ClassVar[list[int]] = []
    stop: ClassVar[int | None] = None
    value: ClassVar[float] = 1.0

    def check(self) -> None:
        """Nothing is needed."""

    def identity(self) -> dict[str, Any]:
        return {"extractor": "mean-colour"}

    def vectors(self, images: Sequence[Image]) -> Vectors:
        if len(self.batches) == self.stop:
            raise KeyboardInterrupt
        self.batches.append(len(images))
        assert {image.mode for image in images} == {"RGB"}
        means = [np.asarray(image).mean(axis=(0, 1)) for image in images]
        return (np.stack(means) * self.value).astype(np.float32)


class Lengths(TextExtractor):
    """Letters and words of a text."""

    batches: ClassVar[list[int]] = []

    def check(self) -> None:
        """Nothing is needed."""

    def identity(self) -> dict[str, Any]:
        return {"extractor": "lengths"}

    def vectors(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(len(texts))
        return np.array([[len(text), len(text.split())] for text in texts], dtype=np.float32)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setitem(IMAGE, "mean-colour", f"{__name__}:MeanColour")
    monkeypatch.setitem(TEXT, "lengths", f"{__name__}:Lengths")
    monkeypatch.setattr(MeanColour, "batches", [])
    monkeypatch.setattr(Lengths, "batches", [])
    return write_shop(tmp_path)


CHOSEN = ["--image-features", "mean-colour", "--text-features", "none", "--batch-size", "16", "--no-graphs"]


def test_vectors_land_in_the_rows_of_their_items(shop: Path) -> None:
    chosen = ["--image-features", "mean-colour", "--text-features", "lengths", "--batch-size", "16"]
    assert prepare(shop, *content(shop), *chosen) == 0
    out = shop / "out" / "shop"
    colours, lengths = np.load(out / "image_feat.npy"), np.load(out / "text_feat.npy")
    assert colours.argmax(axis=1)[[0, 1, 2]].tolist() == [0, 1, 2]
    assert not colours[5].any()
    assert lengths[2].tolist() == [len("blue lamp no 2. home. blue"), 6]
    assert MeanColour.batches == Lengths.batches == [16, 16, 7]
    assert provenance(out)["features"]["image"]["extractor"] == "mean-colour"


def test_what_was_extracted_once_is_taken_from_the_cache(shop: Path) -> None:
    assert prepare(shop, *content(shop), *CHOSEN) == 0
    (shop / "pictures" / f"{item(0)}.png").write_bytes((shop / "pictures" / f"{item(1)}.png").read_bytes())
    assert prepare(shop, *content(shop), *CHOSEN, name="again") == 0
    assert MeanColour.batches == [16, 16, 7]
    found = np.load(shop / "out" / "again" / "image_feat.npy")
    assert (found[0] == found[1]).all()


@pytest.mark.parametrize("stop", [0, 1, 2])
def test_a_stopped_extraction_goes_on_with_the_same_batches(
    shop: Path, monkeypatch: pytest.MonkeyPatch, stop: int
) -> None:
    assert prepare(shop, *content(shop), *CHOSEN, "--cache", str(shop / "other cache")) == 0
    expected = digests(shop / "out" / "shop")
    (shop / "out" / "shop").rename(shop / "whole")
    MeanColour.batches.clear()
    with monkeypatch.context() as patch:
        patch.setattr(MeanColour, "stop", stop)
        assert prepare(shop, *content(shop), *CHOSEN) == 130
    assert prepare(shop, *content(shop), *CHOSEN) == 0
    assert MeanColour.batches == [16, 16, 7]
    assert digests(shop / "out" / "shop") == expected


def test_vectors_that_are_not_finite_are_refused(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(MeanColour, "value", np.inf)
    assert "the image extractor gives NaN or infinite values for item 0" in refused(
        shop, capsys, *content(shop), *CHOSEN
    )


def test_broken_pictures_may_count_as_missing(shop: Path) -> None:
    (shop / "pictures" / f"{item(2)}.png").write_bytes(b"no picture")
    assert prepare(shop, *content(shop), "--broken-images", "missing", "--no-graphs") == 0
    counts = provenance(shop / "out" / "shop")["counts"]["pictures"]
    assert counts == {"items_with_picture": ITEMS - 2, "broken_pictures": 1}
    assert not np.load(shop / "out" / "shop" / "image_feat.npy")[[2, 5]].any()


def test_transparent_pictures_stand_on_white(shop: Path) -> None:
    from PIL import Image

    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(shop / "pictures" / f"{item(0)}.png")
    Image.new("L", (8, 8), 40).save(shop / "pictures" / f"{item(1)}.png")
    assert prepare(shop, *content(shop), *CHOSEN) == 0
    found = np.load(shop / "out" / "shop" / "image_feat.npy")
    assert found[:2].tolist() == [[255, 255, 255], [40, 40, 40]]
