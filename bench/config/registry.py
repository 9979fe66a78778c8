"""Looking up what is registered: a name stands for ``module:Class``; listing names imports nothing."""

from __future__ import annotations

import importlib
from functools import cache
from importlib.metadata import entry_points
from typing import Any

from bench.audits import AUDITS
from datasets import READERS
from datasets.errors import InputError
from datasets.regimes import REGIMES
from models import BACKBONES
from unlearning import METHODS

_BUILT_IN: dict[str, dict[str, str]] = {
    "audit": AUDITS,
    "backbone": BACKBONES,
    "method": METHODS,
    "reader": READERS,
    "regime": REGIMES,
}


@cache
def registry(kind: str) -> dict[str, str]:
    """All entries of a kind (``_BUILT_IN``): the built-in ones and those of plug-ins (``lethe.<kind>s``)."""
    plugins = {entry.name: entry.value for entry in entry_points(group=f"lethe.{kind}s")}
    return {**plugins, **_BUILT_IN[kind]}


def target_of(kind: str, name: str) -> str:
    """The ``module:Class`` behind a name. Raises ``InputError`` listing the known names."""
    known = registry(kind)
    if name not in known:
        raise InputError(f"{kind}.name={name} is not registered: choose one of {', '.join(sorted(known))}.")
    return known[name]


def load_class(kind: str, name: str) -> Any:
    """Import and return the registered class."""
    module, _, attribute = target_of(kind, name).partition(":")
    return getattr(importlib.import_module(module), attribute)
