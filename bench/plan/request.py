"""The deletion request of a cell: its regime, its draw, the checksum of its list."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bench.config.registry import load_class
from bench.config.schema import CellConfig
from bench.disk.files import checksum
from datasets.errors import InputError
from datasets.regimes.base import Regime
from datasets.request_options import RequestOptions

if TYPE_CHECKING:
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest


def regime_of(options: RequestOptions) -> Regime:
    """The registered regime with these options. Raises ``InputError`` for a name that is not known."""
    regime: Regime = load_class("regime", options.name)(options)
    return regime


def draw(options: RequestOptions, data: InteractionData) -> DeletionRequest:
    """The deletion request that ``options`` describe. Raises ``InputError`` (``Regime.draw``)."""
    return regime_of(options).draw(data)


def request_checksum(config: CellConfig) -> str:
    """Checksum of the explicit request list, "" without one."""
    if config.regime.file is None:
        return ""
    path = Path(config.regime.file)
    if not path.is_file():
        raise InputError(f"regime.file={path} does not exist: give the path of a CSV or JSON list.")
    return checksum(path)
