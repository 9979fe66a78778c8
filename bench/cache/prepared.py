"""What methods prepare before any request, kept by its content and handed to every request.

Only methods that say so (``UnlearningMethod.keeps_prepared``) are kept. The key covers device and threads,
because the recorded seconds are reported where a state was found.
"""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from bench.cache.store import PREPARED, Content, ContentStore
from unlearning.base import PreparedState, UnlearningMethod

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prepared:
    """A method's prepared state, whatever it is, and the seconds that preparing took."""

    state: Any
    seconds: float


class PreparedCache:
    """Prepared states under ``root``."""

    def __init__(self, root: Path) -> None:
        self._store = ContentStore(root, PREPARED)

    def folder(self, key: str) -> Path:
        """Where the state of ``key`` is or will be."""
        return self._store.folder(key)

    def get_or_prepare(
        self, key: str, device: torch.device, prepare: Callable[[], Prepared], about: dict[str, Any]
    ) -> Prepared:
        """The state of ``key``: loaded to ``device`` if it is there, else prepared and stored.

        Args:
            prepare: its state must be a ``PreparedState``.
            about: JSON-able description stored beside it, for people.
        """

        def made() -> tuple[Prepared, Content]:
            prepared = prepare()
            state = prepared.state
            if not isinstance(state, PreparedState):
                raise TypeError(
                    f"a method that keeps what it prepares must return a PreparedState, not {state!r}"
                )
            facts = {"seconds": prepared.seconds, "figures": state.figures}
            return prepared, Content(state.tensors, facts, about)

        def read(content: Content) -> Prepared:
            tensors = {name: value.to(device) for name, value in content.tensors.items()}
            state = PreparedState(tensors, dict(content.facts["figures"]))
            return Prepared(state, float(content.facts["seconds"]))

        prepared, found = self._store.get_or_make(key, read, made)
        if found:
            log.info("preparation %s: found in the cache (%.1f s)", key, prepared.seconds)
        return prepared


def preparing(method: UnlearningMethod) -> UnlearningMethod:
    """The method as ``prepare`` sees it: the options that act on request only are at their defaults."""
    defaults = type(method.options)()
    asked = {name: getattr(defaults, name) for name in method.online_options}
    return type(method)(dataclasses.replace(method.options, **asked))
