"""Item kNN graphs, kept on disk by their content and handed to the backbones that would build them.

From wide raw features a graph takes seconds to minutes, and every cell of a sweep needs the same few. A
graph is an entry of the content store (``bench/cache/store.py``), with what building it cost. Its key covers
the features with the rows of withdrawn items zeroed: what was forgotten has another graph. It also covers
device and threads, because the recorded time goes on the clocks of training and unlearning, where it may
only meet times of the same hardware.

A given graph is what ``InteractionData.item_graphs`` is for: no backbone knows about this cache.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from bench.cache.content import digest
from bench.cache.store import ITEM_GRAPHS, Content, ContentStore
from bench.config.schema import Choice
from bench.config.source import class_constant, module_digest
from bench.machine.devices import describe
from bench.machine.timing import Stopwatch
from datasets.interactions import InteractionData
from datasets.item_graphs import item_graph, knn_graph
from datasets.sparse import csr_tensor

log = logging.getLogger(__name__)

OPTION = "neighbours"
"""What the option that holds k is called, where a backbone's class says nothing else."""

WARM_UP_ROWS = 64


def neighbours_of(backbone: Choice) -> int | None:
    """k of the item graphs that a backbone builds from features; None where it builds none.

    By convention its option is called ``neighbours``. A class whose option has another name says
    ``item_graph_option = "<name>"``; one whose ``neighbours`` are not of items says None there.
    """
    option = class_constant("backbone", backbone.name, "item_graph_option", default=OPTION)
    if option is None or (option == OPTION and not hasattr(backbone.options, OPTION)):
        return None
    return int(getattr(backbone.options, option))


@dataclass(frozen=True)
class BuiltGraph:
    """A graph, CSR [num_items, num_items] on the device of its data, and the seconds of building it."""

    graph: Tensor
    seconds: float


class ItemGraphCache:
    """Item graphs for one backbone, under ``root``; each is held in memory once.

    Args:
        dataset: name of the data set, for people who list the cache.
    """

    def __init__(self, root: Path, backbone: Choice, dataset: str) -> None:
        self._store = ContentStore(root, ITEM_GRAPHS)
        self._neighbours = neighbours_of(backbone)
        self._wanted = getattr(backbone.options, "modalities", None)
        self._dataset = dataset
        self._known: dict[str, BuiltGraph] = {}

    def attach(self, data: InteractionData) -> InteractionData:
        """``data`` with the graph of each modality that has features but no given graph.

        Not to be called before a request is applied: ``DeletionRequest.apply`` takes withdrawn items out
        of a given graph, but only a graph of its own fills their places.
        """
        if self._neighbours is None:
            return data
        wanted = data.features.keys() if self._wanted is None else data.features.keys() & self._wanted
        built = {m: self._graph(data, m).graph for m in sorted(wanted - data.item_graphs.keys())}
        given = {m: graph for m, graph in built.items() if self._is_accepted(graph, data)}
        return replace(data, item_graphs={**data.item_graphs, **given})

    def seconds(self, data: InteractionData, besides: InteractionData | None = None) -> float:
        """Recorded seconds of building the graphs attached to ``data``, those of ``besides`` left out."""
        others = () if besides is None else besides.item_graphs.values()
        graphs = [g for g in data.item_graphs.values() if not any(g is other for other in others)]
        return sum(known.seconds for known in self._known.values() if any(known.graph is g for g in graphs))

    def _is_accepted(self, graph: Tensor, data: InteractionData) -> bool:
        """Whether a backbone takes it for a graph of k neighbours: not where too few items have content."""
        assert self._neighbours is not None
        depth = int(graph.crow_indices().diff().max())
        return depth + len(data.withdrawn_items) >= min(self._neighbours, data.num_items)

    def _graph(self, data: InteractionData, modality: str) -> BuiltGraph:
        key = self._key(data, modality)
        if key not in self._known:
            device = data.train.device
            self._known[key], _ = self._store.get_or_make(
                key, lambda content: _restored(content, device), lambda: self._built(data, modality)
            )
        return self._known[key]

    def _key(self, data: InteractionData, modality: str) -> str:
        features = data.features[modality].index_fill(0, data.withdrawn_items, 0.0)
        content = {
            "features": hashlib.sha256(features.cpu().contiguous().numpy().data).hexdigest(),
            "shape": list(features.shape),
            "neighbours": self._neighbours,
            "code": module_digest("datasets.item_graphs"),
            "device": dataclasses.asdict(describe(data.train.device)),
        }
        return digest("item_graph", content)

    def _built(self, data: InteractionData, modality: str) -> tuple[BuiltGraph, Content]:
        assert self._neighbours is not None
        features = data.features[modality]
        knn_graph(features[:WARM_UP_ROWS], self._neighbours)  # first-use costs stay off the clock
        bare = replace(data, item_graphs={})
        watch = Stopwatch(features.device)
        with watch.running():
            graph = item_graph(bare, modality, self._neighbours)
        log.info("item graph of %s: built in %.1f s", modality, watch.seconds)
        about = {
            "role": f"item graph ({modality})",
            "dataset": self._dataset,
            "neighbours": self._neighbours,
            "device": dataclasses.asdict(describe(features.device)),
        }
        parts = {"starts": graph.crow_indices(), "columns": graph.col_indices(), "values": graph.values()}
        return BuiltGraph(graph, watch.seconds), Content(parts, {"seconds": watch.seconds}, about)


def _restored(content: Content, device: torch.device) -> BuiltGraph:
    starts, columns, values = (content.tensors[name] for name in ("starts", "columns", "values"))
    size = len(starts) - 1
    graph = csr_tensor(starts, columns, values, (size, size))
    return BuiltGraph(graph.to(device), float(content.facts["seconds"]))
