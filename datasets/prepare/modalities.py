"""The content that a prepared set gets: where it comes from, which items have it, its feature matrix."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError
from datasets.features.base import (
    CorpusExtractor,
    Extractor,
    ImageExtractor,
    Progress,
    TextExtractor,
    Vectors,
)
from datasets.features.cache import FeatureCache
from datasets.prepare.given import ids_in, read_given
from datasets.prepare.pictures import Pictures
from datasets.prepare.texts import has_text, texts_of

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
Blocks = Iterator[tuple[Ints, Vectors]]
T = TypeVar("T")


class Modality(ABC):
    """One kind of content.

    ``items`` below are the numbers of the items that stay, ascending: row r of the feature matrix is the
    content of item ``items[r]``.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def identity(self) -> dict[str, Any]:
        """Everything that determines the features, JSON-able; it goes into the provenance."""

    @abstractmethod
    def present(self) -> Mask:
        """Which items of the interactions have this content, before any filter."""

    @abstractmethod
    def blocks(self, items: Ints, advance: Progress) -> Blocks:
        """(rows, vectors) of the items that have content."""


class Given(Modality):
    """Features from a file with the items' own ids."""

    def __init__(self, name: str, path: Path, digest: str, own: NDArray[np.object_]) -> None:
        super().__init__(name)
        self._path, self._digest, self._own = path, digest, own

    def identity(self) -> dict[str, Any]:
        """Name and checksum of the file."""
        return {"given": self._path.name, "sha256": self._digest}

    def present(self) -> Mask:
        """The items that the file names."""
        return ids_in(self._path, {own: number for number, own in enumerate(self._own.tolist())})

    def blocks(self, items: Ints, advance: Progress) -> Blocks:
        """All of them at once."""
        rows = {self._own[item]: row for row, item in enumerate(items)}
        yield read_given(self._path, rows)


class Texts(Modality):
    """Features of item text."""

    def __init__(self, extractor: Extractor, folder: Path, num_items: int, cache: Path) -> None:
        super().__init__("text")
        self._extractor, self._folder, self._size, self._cache = extractor, folder, num_items, cache

    def identity(self) -> dict[str, Any]:
        """That of the extractor."""
        return self._extractor.identity()

    def present(self) -> Mask:
        """The items with words."""
        return has_text(self._folder, self._size)

    def blocks(self, items: Ints, advance: Progress) -> Blocks:
        """The whole corpus at once, or batch by batch through the cache."""
        words = {row: text.words() for row, text in enumerate(texts_of(self._folder, items)) if text.words()}
        if isinstance(self._extractor, CorpusExtractor):
            vectors = self._extractor.vectors(list(words.values()))
            yield np.array(list(words), dtype=np.int64), vectors
            return
        encoder = cast(TextExtractor, self._extractor)
        digests = {row: hashlib.sha256(text.encode()).hexdigest() for row, text in words.items()}
        by_digest = {digests[row]: text for row, text in words.items()}
        yield from _through_cache(
            encoder,
            self._cache,
            digests,
            lambda batch: encoder.vectors([by_digest[digest] for digest in batch]),
            advance,
        )


class Images(Modality):
    """Features of pictures."""

    def __init__(self, extractor: Extractor, pictures: Pictures, num_items: int, cache: Path) -> None:
        super().__init__("image")
        self._extractor, self._pictures, self._size, self._cache = extractor, pictures, num_items, cache

    def identity(self) -> dict[str, Any]:
        """That of the extractor."""
        return self._extractor.identity()

    def present(self) -> Mask:
        """The items with a picture."""
        return self._pictures.has_picture(self._size)

    def blocks(self, items: Ints, advance: Progress) -> Blocks:
        """Batch by batch through the cache."""
        encoder = cast(ImageExtractor, self._extractor)
        known = self._pictures.digests
        digests = {row: known[item] for row, item in enumerate(items.tolist()) if item in known}
        paths = {
            known[item]: self._pictures.folder / self._pictures.names[item]
            for item in items.tolist()
            if item in known
        }
        yield from _through_cache(
            encoder,
            self._cache,
            digests,
            lambda batch: encoder.vectors([_picture(paths[digest], digest) for digest in batch]),
            advance,
        )


def _through_cache(
    extractor: Extractor,
    folder: Path,
    digests: Mapping[int, str],
    make: Callable[[Sequence[str]], Vectors],
    advance: Progress,
) -> Blocks:
    """Extract what the cache does not hold, in whole batches, and give everything from the cache."""
    cache = FeatureCache(folder, extractor.identity())
    try:
        missing = cache.missing(list(digests.values()))
        size = extractor.options.batch_size
        for start in range(0, len(missing), size):
            batch = missing[start : start + size]
            cache.put(batch, make(batch))
            advance(min(start + size, len(missing)), len(missing))
        for row, digest in digests.items():
            yield np.array([row]), cache.get(digest)[None]
    finally:
        cache.close()


def _picture(path: Path, digest: str) -> Any:
    from PIL import Image

    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != digest:
        raise InputError(f"{path} changed while the data set was being prepared: run the command again.")
    with Image.open(path) as image:
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            white = Image.new("RGBA", image.size, "white")
            return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
        return image.convert("RGB")
