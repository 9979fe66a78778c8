"""The deletion request of a cell, or its stream of requests: who asks, the draw, the checksum of a list."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bench.cache.content import digest
from bench.config.registry import load_class
from bench.config.schema import CellConfig, build
from bench.disk.files import checksum, read_json, write_json
from datasets.errors import InputError
from datasets.regimes.base import Regime
from datasets.request_options import RequestOptions
from datasets.streams.base import Stream, checkpoint_indices
from datasets.streams.options import StreamOptions

if TYPE_CHECKING:
    from datasets.interactions import InteractionData
    from datasets.requests import DeletionRequest


@dataclass(frozen=True)
class Outline:
    """What a plan has to know of a stream: how many ``requests`` it is, the indices of those after which the
    model is measured, and of each the digest of all that was asked until then."""

    requests: int
    checkpoints: tuple[int, ...]
    asked: tuple[str, ...]


def regime_of(options: RequestOptions) -> Regime:
    """The registered regime with these options. Raises ``InputError`` for a name that is not known."""
    regime: Regime = load_class("regime", options.name)(options)
    return regime


def stream_of(options: StreamOptions) -> Stream:
    """The registered stream with these options. Raises ``InputError`` for a name that is not known."""
    stream: Stream = load_class("stream", options.name)(options)
    return stream


def draw(options: RequestOptions, data: InteractionData) -> DeletionRequest:
    """The deletion request that ``options`` describe. Raises ``InputError`` (``Regime.draw``)."""
    return regime_of(options).draw(data)


def asked(config: CellConfig, data: InteractionData) -> DeletionRequest:
    """All that a cell asks for, as one request. Raises ``InputError``."""
    if not config.stream.streams:
        return draw(config.regime, data)
    from datasets.streams.composing import union

    return union(stream_of(config.stream).requests(data), data)


def request_checksum(config: CellConfig) -> str:
    """Checksum of the explicit list or log of requests, "" without one."""
    group, file = ("stream", config.stream.file) if config.stream.streams else ("regime", config.regime.file)
    if file is None:
        return ""
    path = Path(file)
    if not path.is_file():
        kind = "CSV log" if group == "stream" else "CSV or JSON list"
        raise InputError(f"{group}.file={path} does not exist: give the path of a {kind}.")
    return checksum(path)


def outline(options: StreamOptions, key: str, cache: Path, read: Callable[[], InteractionData]) -> Outline:
    """The outline of a stream, drawn once and kept beside the data's summary.

    Args:
        key: of the stream on its data.
        cache: the cache's folder.
        read: gives the data, whose pairs alone are looked at.

    Raises:
        InputError: as ``Stream.requests``.
    """
    path = cache / "data" / f"stream-{key}.json"
    stored = read_json(path)
    if not isinstance(stored, dict) or stored.keys() != {field.name for field in dataclasses.fields(Outline)}:
        stored = dataclasses.asdict(_outlined(options, read()))
        write_json(path, stored)
    return build(Outline, stored, "stream")


def _outlined(options: StreamOptions, data: InteractionData) -> Outline:
    from datasets.streams.composing import union

    requests = stream_of(options).requests(data)
    indices = checkpoint_indices(options.checkpoints, len(requests))
    every = (content_of(union(requests[: index + 1], data)) for index in indices)
    return Outline(len(requests), tuple(indices), tuple(every))


def content_of(request: DeletionRequest) -> str:
    """Digest of what a request names, whatever it is called: equal digests leave equal data."""
    parts = {}
    for name in ("users", "items", "forget"):
        array = getattr(request, name).cpu().contiguous().numpy()
        parts[name] = [list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]
    return digest("asked", parts)
