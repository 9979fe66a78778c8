"""The extractors that read a model folder, on tiny random models built in place.

Where a library is missing (the optional extra ``features``) or does not load beside this torch, its tests
are skipped with the reason; what is said to a user then is tested without it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from datasets.errors import InputError
from datasets.features import IMAGE, OFFLINE, TEXT
from datasets.features.base import Extractor, ModelOptions, Vectors, extractor

RNG = np.random.default_rng(0)
PICTURES = [Image.fromarray(RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)) for _ in range(4)]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "red", "blue", "lamp", "chair", "no"]

MODELS = [
    (modality, name)
    for modality, names in (("text", TEXT), ("image", IMAGE))
    for name in names
    if name != OFFLINE[modality]
]


def loaded(package: str) -> Any:
    """The library; skips the test where it is not installed or does not load."""
    try:
        return __import__(package)
    except Exception as error:
        pytest.skip(f"{package} does not load here: {type(error).__name__}: {str(error).splitlines()[0]}")


def sentence_model(folder: Path) -> ModelOptions:
    """A one-layer BERT over ten words, which the library pools by the mean."""
    loaded("sentence_transformers")
    transformers = loaded("transformers")
    config = transformers.BertConfig(
        vocab_size=len(WORDS),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    transformers.BertModel(config).save_pretrained(folder)
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    transformers.BertTokenizerFast(vocab=vocabulary).save_pretrained(folder)
    return ModelOptions(model=str(folder), device="cpu")


def torchvision_model(folder: Path) -> ModelOptions:
    """A ResNet-18 by its weight file alone."""
    models = loaded("torchvision").models
    torch.save(models.resnet18(weights=None).state_dict(), folder / "resnet18-0123abcd.pth")
    return ModelOptions(model=str(folder), device="cpu")


def timm_model(folder: Path) -> ModelOptions:
    """timm's own test network in a local folder."""
    timm = loaded("timm")
    model = timm.create_model("test_resnet", pretrained=False, num_classes=3)
    save_file(model.state_dict(), folder / "model.safetensors")
    config = {"architecture": "test_resnet", "num_classes": 3, "pretrained_cfg": model.pretrained_cfg}
    (folder / "config.json").write_text(json.dumps(config, default=str), encoding="utf-8")
    return ModelOptions(model=str(folder), device="cpu")


def clip_model(folder: Path) -> ModelOptions:
    """A two-tower model with one layer each."""
    package = loaded("open_clip")
    cfg = {
        "embed_dim": 8,
        "vision_cfg": {"image_size": 32, "layers": 1, "width": 16, "head_width": 8, "patch_size": 16},
        "text_cfg": {"context_length": 8, "vocab_size": 64, "width": 16, "heads": 2, "layers": 1},
    }
    model = package.model.CLIP(**{**cfg, "embed_dim": 8})
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    told = {"model_cfg": cfg, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    (folder / "open_clip_config.json").write_text(json.dumps(told), encoding="utf-8")
    return ModelOptions(model=str(folder), device="cpu")


TINY = {
    "sentence-transformers": (sentence_model, 16),
    "torchvision": (torchvision_model, 512),
    "timm": (timm_model, None),
    "open-clip": (clip_model, 8),
}
CONTENT = {"text": ["red lamp", "blue chair", "red lamp no", "chair"], "image": PICTURES}


def vectors(found: Extractor, content: list[Any]) -> Vectors:
    result: Vectors = found.vectors(content)  # type: ignore[attr-defined]
    return result


def test_every_model_has_a_tiny_one() -> None:
    assert set(TINY) == {name for _, name in MODELS}


@pytest.mark.parametrize(("modality", "name"), MODELS)
def test_vectors_of_a_tiny_model(tmp_path: Path, modality: str, name: str) -> None:
    build, columns = TINY[name]
    torch.manual_seed(0)
    options = build(tmp_path)
    found = extractor(modality, name, options)
    content: list[Any] = list(CONTENT[modality])
    first = vectors(found, content)
    assert first.shape[0] == len(content)
    assert columns is None or first.shape[1] == columns
    assert first.dtype == np.float32
    assert np.isfinite(first).all()
    assert np.allclose(vectors(found, content[1:3]), first[1:3], atol=1e-5)
    assert not np.allclose(first[0], first[1], atol=1e-4)
    again = extractor(modality, name, options)
    assert np.allclose(vectors(again, content), first, atol=1e-6)


@pytest.mark.parametrize(("modality", "name"), MODELS)
def test_identity_follows_the_weights(tmp_path: Path, modality: str, name: str) -> None:
    build, _ = TINY[name]
    options = build(tmp_path)
    before = extractor(modality, name, options).identity()
    assert before == extractor(modality, name, options).identity()
    assert before["extractor"] == name
    (Path(str(options.model)) / "notes.txt").write_text("other", encoding="utf-8")
    assert extractor(modality, name, options).identity() != before


@pytest.mark.parametrize(("modality", "name"), MODELS)
def test_a_missing_folder_gets_one_sentence(tmp_path: Path, modality: str, name: str) -> None:
    loaded({"sentence-transformers": "sentence_transformers", "open-clip": "open_clip"}.get(name, name))
    with pytest.raises(InputError, match=rf"--{modality}-model is not set: give the folder"):
        extractor(modality, name, ModelOptions())
    with pytest.raises(InputError, match=rf"--{modality}-model .*none is not there: .*--download"):
        extractor(modality, name, ModelOptions(model=str(tmp_path / "none")))


@pytest.mark.parametrize(("modality", "name"), MODELS)
def test_a_missing_package_gets_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modality: str, name: str
) -> None:
    package = {"sentence-transformers": "sentence_transformers", "open-clip": "open_clip"}.get(name, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=r"is not installed: pip install -e '\.\[features\]'"):
        extractor(modality, name, ModelOptions(model=str(tmp_path)))


@pytest.mark.parametrize(("modality", "name"), MODELS)
def test_a_package_that_does_not_load_gets_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, modality: str, name: str
) -> None:
    package = {"sentence-transformers": "sentence_transformers", "open-clip": "open_clip"}.get(name, name)
    (tmp_path / "site" / package).mkdir(parents=True)
    broken = "raise RuntimeError('operator x::nms does not exist')"
    (tmp_path / "site" / package / "__init__.py").write_text(broken, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, package, raising=False)
    with pytest.raises(InputError, match=r"does not load \(operator x::nms does not exist\)"):
        extractor(modality, name, ModelOptions(model=str(tmp_path)))


def test_the_clash_of_names_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sentence-transformers looks for the Hugging Face package of our name, and finds ours."""
    (tmp_path / "site" / "sentence_transformers").mkdir(parents=True)
    text = "from datasets import Dataset"
    (tmp_path / "site" / "sentence_transformers" / "__init__.py").write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.delitem(sys.modules, "sentence_transformers", raising=False)
    with pytest.raises(InputError, match="takes Lethe's package datasets for the Hugging Face package"):
        extractor("text", "sentence-transformers", ModelOptions(model=str(tmp_path)))


def test_torchvision_weights_that_do_not_tell(tmp_path: Path) -> None:
    options = torchvision_model(tmp_path)
    (tmp_path / "resnet18-0123abcd.pth").rename(tmp_path / "weights.pth")
    with pytest.raises(InputError, match="--image-architecture weights is not known to torchvision"):
        extractor("image", "torchvision", options)
    named = ModelOptions(model=str(tmp_path), architecture="resnet18", device="cpu")
    assert vectors(extractor("image", "torchvision", named), list(PICTURES)).shape == (4, 512)
    (tmp_path / "other.pth").write_bytes(b"")
    with pytest.raises(InputError, match="holds 2 weight files"):
        extractor("image", "torchvision", named)
