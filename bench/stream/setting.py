"""The setting of a stream: data, requests, original, and at each checkpoint the matched gold model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from bench.cache.models import CachedModel
from bench.cell.setting import CellSetting, RequestSetting, SettingStage
from bench.planning.planner import PlannedCell
from bench.planning.request import stream_of
from datasets.interactions import InteractionData
from datasets.requests import DeletionRequest
from datasets.streams.composing import union


@dataclass(frozen=True)
class StreamSetting:
    """What a stream starts from.

    ``read`` is the data before the first request and ``full`` the same with item graphs; ``checkpoints`` are
    indices of requests after which the model is measured; ``watched`` are items that nobody should be shown
    in the end, None where there are none.
    """

    read: InteractionData
    full: InteractionData
    requests: Sequence[DeletionRequest]
    checkpoints: tuple[int, ...]
    original: CachedModel
    watched: Tensor | None

    def asked(self, index: int) -> DeletionRequest:
        """All that was asked up to a request, that one included."""
        return union(self.requests[: index + 1], self.read)


class StreamSettingStage(SettingStage):
    """Makes the setting of a stream; models come from the cache or are trained once."""

    def __init__(self, cell: PlannedCell) -> None:
        super().__init__(cell)
        assert cell.stream is not None
        self._checkpoints = cell.stream.checkpoints
        self._stream = stream_of(cell.config.stream)

    def load_stream(self) -> StreamSetting:
        """All but the gold models."""
        read = self._read_data()
        full = self.graphs.attach(read)
        requests = self._stream.requests(read)
        original, watched = self._trained("original", full), self._stream.watched_items(read)
        return StreamSetting(read, full, requests, self._checkpoints, original, watched)

    def train(self, role: str) -> None:
        """Only see to it that one model is in the cache: ``original``, or ``gold-<checkpoint>``."""
        read = self._read_data()
        if role == "original":
            self._trained("original", self.graphs.attach(read))
            return
        place = int(role.removeprefix("gold-"))
        asked = union(self._stream.requests(read)[: self._checkpoints[place] + 1], read)
        self._gold_at(place, self.graphs.attach(asked.apply(read)))

    def at(self, stream: StreamSetting, index: int) -> CellSetting:
        """The checkpoint after a request: one request for all that was asked until then, with its gold."""
        asked = stream.asked(index)
        retain = self.graphs.attach(asked.apply(stream.read))
        gold = self._gold_at(stream.checkpoints.index(index), retain)
        return CellSetting(stream.full, retain, asked, stream.original, gold)

    def _gold_at(self, place: int, retain: InteractionData) -> CachedModel:
        return self._trained("gold", retain, self._keys.golds[place])


class Rest:
    """What is left of the data, request by request; ``data`` has item graphs.

    Users and pairs that leave change no item graph, so that it goes on unbuilt; items that leave take their
    content along, and the graphs of what is left are built anew.
    """

    def __init__(self, stage: SettingStage, stream: StreamSetting) -> None:
        self._graphs, self._bare = stage.graphs, stream.read
        self.data = stream.full

    def without(self, request: DeletionRequest) -> InteractionData:
        """What the request leaves; ``data`` from now on."""
        self._bare = request.apply(self._bare)
        if request.items.numel():
            self.data = self._graphs.attach(self._bare)
        else:
            self.data = request.apply(self.data)
        return self.data


def one_request(
    before: InteractionData, after: InteractionData, request: DeletionRequest, model: CachedModel
) -> RequestSetting:
    """A request of a stream as the method meets it: no gold, and nothing of the requests before it."""
    return RequestSetting(before, after, request, model, None)
