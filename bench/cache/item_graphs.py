"""Item kNN graphs, kept on disk by their content and handed to the backbones that would build them.

From wide raw features a graph takes seconds to minutes, and every cell of a sweep needs the same few. A
graph is a folder ``item_graphs/<key>`` with ``graph.safetensors`` and ``record.json`` (what building it
cost, and a checksum). Its key covers the features with the rows of withdrawn items zeroed: what was
forgotten has another graph. It also covers device and threads, because the recorded time goes on the
clocks of training and unlearning, where it may only meet times of the same hardware.

A given graph is what ``InteractionData.item_graphs`` is for: no backbone knows about this cache.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.cache.content import digest
from bench.config.schema import Choice
from bench.config.source import class_constant, module_digest
from bench.disk.files import checksum, new_folder, read_json, set_aside, write_json
from bench.disk.locks import held, lock_file
from bench.machine.devices import describe
from bench.machine.timing import Stopwatch
from datasets.interactions import InteractionData
from datasets.item_graphs import item_graph, knn_graph

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
        self._root = root
        self._neighbours = neighbours_of(backbone)
        self._wanted = getattr(backbone.options, "modalities", None)
        self._dataset = dataset
        self._known: dict[str, BuiltGraph] = {}

    def folder(self, key: str) -> Path:
        """Where the graph of ``key`` is or will be."""
        return self._root / "item_graphs" / key

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
            with held(lock_file(self._root, key), f"the item graph {key}"):
                device = data.train.device
                self._known[key] = self._load(key, device) or self._build(key, data, modality)
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

    def _build(self, key: str, data: InteractionData, modality: str) -> BuiltGraph:
        assert self._neighbours is not None
        features = data.features[modality]
        knn_graph(features[:WARM_UP_ROWS], self._neighbours)  # first-use costs stay off the clock
        bare = replace(data, item_graphs={})
        watch = Stopwatch(features.device)
        with watch.running():
            graph = item_graph(bare, modality, self._neighbours)
        about = {
            "role": f"item graph ({modality})",
            "dataset": self._dataset,
            "neighbours": self._neighbours,
            "device": dataclasses.asdict(describe(features.device)),
        }
        built = BuiltGraph(graph, watch.seconds)
        self._publish(key, built, about)
        log.info("item graph of %s: built in %.1f s", modality, built.seconds)
        return built

    def _load(self, key: str, device: torch.device) -> BuiltGraph | None:
        folder = self.folder(key)
        if not folder.exists():
            return None
        file, record = folder / "graph.safetensors", read_json(folder / "record.json")
        if record is None or not file.exists() or checksum(file) != record.get("graph_sha256"):
            aside = set_aside(folder)
            log.warning("the cached item graph %s is damaged: set aside as %s, built again", key, aside.name)
            return None
        parts = load_file(file)
        os.utime(folder)  # the age that pruning goes by is that of the last use
        return BuiltGraph(_csr(parts).to(device), float(record["seconds"]))

    def _publish(self, key: str, built: BuiltGraph, about: dict[str, Any]) -> None:
        try:
            with new_folder(self.folder(key)) as work:
                save_file(_parts(built.graph), work / "graph.safetensors")
                sha256 = checksum(work / "graph.safetensors")
                content = {"key": key, "graph_sha256": sha256, "seconds": built.seconds, "about": about}
                write_json(work / "record.json", content)
        except (OSError, SafetensorError) as error:
            log.warning("the item graph %s could not be cached (%s): it serves this cell only", key, error)


def _parts(graph: Tensor) -> dict[str, Tensor]:
    parts = {
        "starts": graph.crow_indices(),
        "columns": graph.col_indices(),
        "values": graph.values(),
    }
    return {name: part.cpu().contiguous() for name, part in parts.items()}


def _csr(parts: dict[str, Tensor]) -> Tensor:
    size = len(parts["starts"]) - 1
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        return torch.sparse_csr_tensor(
            parts["starts"], parts["columns"], parts["values"], size=(size, size), check_invariants=False
        )
