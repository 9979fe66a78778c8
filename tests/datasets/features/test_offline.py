"""The extractors that need no model, and the cache by content."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.features import IMAGE, OFFLINE, TEXT
from datasets.features.base import ModelOptions, Vectors, extractor
from datasets.features.cache import FeatureCache
from datasets.features.histogram import Histograms
from datasets.features.tfidf import TfidfSvd

RNG = np.random.default_rng(0)


def picture(red: int, green: int, blue: int, noise: float = 10, side: int = 40) -> Image.Image:
    pixels = np.array([red, green, blue]) + RNG.normal(0, noise, (side, side, 3))
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def histograms(*images: Image.Image) -> Vectors:
    return Histograms(ModelOptions()).vectors(images)


def test_histograms_are_distributions_by_their_squares() -> None:
    found = histograms(picture(200, 30, 30), picture(30, 30, 200, side=300))
    assert found.shape == (2, 5 * 128 + 2 * 59)
    assert found.dtype == np.float32
    parts = [128] * 5 + [59] * 2
    for part in np.split(found**2, np.cumsum(parts)[:-1], axis=1):
        assert np.allclose(part.sum(axis=1), 1, atol=1e-5)


def test_colour_tells_colours_apart() -> None:
    red, also_red, blue = histograms(picture(200, 30, 30), picture(200, 30, 30), picture(30, 30, 200))[
        :, :640
    ]
    assert red @ also_red > 4.5
    assert red @ blue < 0.5


def test_texture_tells_stripes_from_noise_whatever_the_colour() -> None:
    stripes = np.tile(np.repeat([0, 60], 8)[:, None, None], (8, 128, 3)).astype(np.uint8)
    dark, light = Image.fromarray(stripes), Image.fromarray(stripes + 150)
    found = histograms(dark, light, picture(128, 128, 128, noise=60, side=128))[:, 640:]
    assert found[0] @ found[1] > 1.9
    assert found[0] @ found[2] < 1.4


def test_a_quarter_turn_of_the_place_changes_the_quarters_only() -> None:
    left = Image.new("RGB", (64, 64), "white")
    left.paste((200, 0, 0), (0, 0, 32, 64))
    whole, quarters = np.split(histograms(left, left.rotate(180))[:, :640], [128], axis=1)
    assert np.allclose(whole[0], whole[1], atol=0.1)
    assert quarters[0] @ quarters[1] < 0.2 * (quarters[0] @ quarters[0])


TITLES = ["red lamp", "red lamp shade", "blue chair", "blue chair leg", "green cup", "green cup and saucer"]


def test_tfidf_brings_texts_with_common_words_together() -> None:
    found = TfidfSvd(ModelOptions(dim=4)).vectors(TITLES)
    assert found.shape == (6, 4)
    assert found.dtype == np.float32
    units = found / np.linalg.norm(found, axis=1, keepdims=True)
    alike = units @ units.T - 2 * np.eye(6)
    assert alike.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4]


def test_tfidf_repeats_itself_and_gives_what_there_is() -> None:
    first, again = (TfidfSvd(ModelOptions(dim=128)).vectors(TITLES) for _ in range(2))
    assert first.tobytes() == again.tobytes()
    assert first.shape[1] == 5
    assert TfidfSvd(ModelOptions()).vectors(["lamp"]).shape == (1, 1)


def test_what_needs_no_model_says_so() -> None:
    for modality, names in (("text", TEXT), ("image", IMAGE)):
        for name in names:
            if name == OFFLINE[modality]:
                found = extractor(modality, name, ModelOptions())
                assert not found.needs_model
                assert str(found.identity()["label"]).endswith(": no model")


def test_the_cache_gives_what_was_put(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, {"extractor": "x", "version": 1})
    assert cache.missing(["a", "b", "a"]) == ["a", "b"]
    cache.put(["a"], np.array([[1, 2]], dtype=np.float32))
    cache.close()
    again = FeatureCache(tmp_path, {"extractor": "x", "version": 1})
    assert again.missing(["a", "b"]) == ["b"]
    assert again.get("a").tolist() == [1, 2]
    with pytest.raises(KeyError):
        again.get("b")
    other = FeatureCache(tmp_path, {"extractor": "x", "version": 2})
    assert other.missing(["a"]) == ["a"]


def test_a_batch_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, {"extractor": "x"})
    with pytest.raises(ValueError, match="zip"):
        cache.put(["a", "b"], np.zeros((1, 2), dtype=np.float32))
    assert cache.missing(["a", "b"]) == ["a", "b"]
