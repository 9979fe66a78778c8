"""Text features by sentence-transformers, from a local model folder.

The text features of the MMRec family come from such an encoder (384 columns: all-MiniLM-L6-v2).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from datasets.errors import InputError
from datasets.features.base import TextExtractor, Vectors, by_device, model_digest, model_path, require

FLAG = "--text-model"


class SentenceEncoder(TextExtractor):
    """``SentenceTransformer.encode`` in float32."""

    def check(self) -> None:
        """Raise ``InputError`` where the package, the model or a free name is missing."""
        if importlib.util.find_spec("sentence_transformers") is None:
            require("sentence_transformers", "sentence-transformers")
        if not self.options.download or self.options.model is None:
            model_path(self.options, FLAG)
        self._package()

    def identity(self) -> dict[str, Any]:
        """Versions and the checksum of the model's files (its name where it is fetched)."""
        package = self._package()
        known = {"extractor": "sentence-transformers", "version": package.__version__}
        if self.options.download:
            return {**known, "model": self.options.model}
        return {**known, "model_sha256": model_digest(model_path(self.options, FLAG))}

    def vectors(self, texts: Sequence[str]) -> Vectors:
        """float32 [len(texts), d]."""
        found = self._model.encode(
            list(texts), batch_size=len(texts), convert_to_numpy=True, show_progress_bar=False
        )
        return np.asarray(found, dtype=np.float32)

    @cached_property
    def _model(self) -> Any:
        package = self._package()
        return package.SentenceTransformer(
            self.options.model, device=by_device(self.options), local_files_only=not self.options.download
        )

    def _package(self) -> Any:
        try:
            return require("sentence_transformers", "sentence-transformers")
        except InputError as error:
            if "datasets" in str(error.__cause__):
                raise InputError(
                    "sentence-transformers takes Lethe's package datasets for the Hugging Face package of "
                    "that name, which is installed as well: uninstall the latter (pip uninstall datasets)."
                ) from error
            raise
