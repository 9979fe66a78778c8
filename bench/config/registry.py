"""Looking up what is registered: a name stands for ``module:Class``; listing names imports nothing."""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import traceback
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from bench.audits import AUDITS
from datasets import READERS
from datasets.errors import InputError, choices, place
from datasets.regimes import REGIMES
from datasets.streams import STREAMS
from models import BACKBONES
from unlearning import METHODS

_BUILT_IN: dict[str, dict[str, str]] = {
    "audit": AUDITS,
    "backbone": BACKBONES,
    "method": METHODS,
    "reader": READERS,
    "regime": REGIMES,
    "stream": STREAMS,
}


_CONTRACTS = {
    "audit": "bench.audits.base:Audit",
    "backbone": "models.base:Recommender",
    "method": "unlearning.base:UnlearningMethod",
    "reader": "datasets.reader:DatasetReader",
    "regime": "datasets.regimes.base:Regime",
    "stream": "datasets.streams.base:Stream",
}
"""The class that what is registered must extend, by kind."""


@cache
def registry(kind: str) -> dict[str, str]:
    """All entries of a kind (``_BUILT_IN``): the built-in ones and those of plug-ins (``lethe.<kind>s``).

    Raises:
        InputError: where a plug-in takes a name that is taken.
    """
    known = dict(_BUILT_IN[kind])
    for entry in entry_points(group=f"lethe.{kind}s"):
        if known.setdefault(entry.name, entry.value) != entry.value:
            raise InputError(
                f"the entry point {entry.name} = {entry.value} of lethe.{kind}s takes a name that "
                f"{known[entry.name]} has: choose another name in the package that registers it."
            )
    return known


def target_of(kind: str, name: str) -> str:
    """The ``module:Class`` behind a name. Raises ``InputError`` listing the known names."""
    known = registry(kind)
    if name not in known:
        raise InputError(f"{kind}.name={name} is not registered: {choices(name, known)}")
    module, _, attribute = known[name].partition(":")
    if not (module and attribute):
        raise InputError(f"{kind}={name} is registered as {known[name]}: register it as module:Class.")
    return known[name]


def load_class(kind: str, name: str) -> Any:
    """Import and return the registered class.

    Raises:
        InputError: where its module fails while it is imported, or where the class does not fulfil the
            contract of its kind.
    """
    target = target_of(kind, name)
    found = _attribute(target, f"{kind}={name}")
    contract = _attribute(_CONTRACTS[kind], "Lethe") if kind in _CONTRACTS else object
    if not (isinstance(found, type) and issubclass(found, contract)):
        base, module = contract.__name__, contract.__module__
        raise InputError(f"{target}, by which {kind}={name} is registered, does not extend {module}.{base}.")
    if inspect.isabstract(found):
        lacking = ", ".join(sorted(getattr(found, "__abstractmethods__", ())))
        where = place(Path(inspect.getfile(found)), inspect.getsourcelines(found)[1])
        raise InputError(f"{where}: {found.__name__} does not define {lacking}: write it.")
    return found


def _attribute(target: str, registered: str) -> Any:
    """What ``module:name`` stands for. Raises ``InputError``."""
    module, _, attribute = target.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever the author's own module raises
        text = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{_where(error, module)}: {registered} cannot be imported: {text}.") from error


def _where(error: Exception, module: str) -> str:
    """File and line at which the import of a module fails, in its own file where that is on the way."""
    if isinstance(error, SyntaxError) and error.filename:
        return place(Path(error.filename), error.lineno)
    own = _file_of(module)
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if own is not None and Path(frame.filename) == own]
    return place(own or Path(module), lines[-1] if lines else None)


def _file_of(module: str) -> Path | None:
    try:
        found = importlib.util.find_spec(module)
    except ImportError:
        return None
    return Path(found.origin) if found is not None and found.origin else None
