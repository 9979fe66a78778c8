"""Item graphs from the cache: the very graphs a backbone would build, timed once, never of the wrong data."""

from __future__ import annotations

import json
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from bench.cache.item_graphs import ItemGraphCache, neighbours_of
from bench.config.registry import load_class
from bench.config.schema import Choice
from bench.config.source import options_of
from bench.planning.request import draw
from datasets.interactions import InteractionData
from datasets.item_graphs import item_graph, knn_graph
from datasets.request_options import RequestOptions
from models import BACKBONES
from models.base import Recommender
from tests.bench.cache.records import edit, rewrite
from tests.tiny import NUM_ITEMS, tiny_data

K = 4


def choice(name: str = "mgcn", **options: object) -> Choice:
    return Choice(name, options_of("backbone", name)(**options))


def cache(folder: Path, **options: object) -> ItemGraphCache:
    return ItemGraphCache(folder, choice("mgcn", neighbours=K, **options), "tiny")


def same(a: Tensor, b: Tensor) -> bool:
    parts = [(g.crow_indices(), g.col_indices(), g.values()) for g in (a, b)]
    return all(torch.equal(x, y) for x, y in zip(*parts, strict=True))


def without_two_items(data: InteractionData) -> InteractionData:
    return draw(RequestOptions("item", ratio=None, count=2), data).apply(data)


def records(folder: Path) -> dict[Path, dict[str, float]]:
    return {path: json.loads(path.read_text()) for path in (folder / "item_graphs").glob("[!.]*/record.json")}


def slow_down(folder: Path, seconds: float) -> None:
    """Pretend that building each graph had taken so long."""
    for path in records(folder):
        rewrite(path, seconds=seconds)


BUILDERS = [name for name in BACKBONES if neighbours_of(Choice(name, options_of("backbone", name)()))]


def test_the_backbones_that_build_item_graphs_are_known() -> None:
    assert {"freedom", "lattice", "mgcn"} <= set(BUILDERS)
    assert neighbours_of(choice("lightgcn")) is None
    assert neighbours_of(choice("mgcn", neighbours=7)) == 7


@pytest.mark.parametrize("name", BUILDERS)
@pytest.mark.parametrize("regime", ["full", "item"])
def test_a_model_is_the_same_with_and_without_the_cache(name: str, regime: str, tmp_path: Path) -> None:
    backbone = choice(name, neighbours=K)
    data = tiny_data() if regime == "full" else without_two_items(tiny_data())

    def built(data: InteractionData) -> Recommender:
        torch.manual_seed(0)
        model: Recommender = load_class("backbone", name)(data, backbone.options)
        return model.eval()

    own = [part.detach() for part in built(data).embeddings()]
    for _ in ("built", "found"):
        attached = ItemGraphCache(tmp_path, backbone, "tiny").attach(data)
        assert attached.item_graphs.keys() == {"image", "text"}
        given = [part.detach() for part in built(attached).embeddings()]
        assert all(torch.equal(a, b) for a, b in zip(own, given, strict=True))


def test_graphs_are_those_of_the_data_built_and_found(tmp_path: Path) -> None:
    data = tiny_data()
    for graphs in (cache(tmp_path), cache(tmp_path)):
        attached = graphs.attach(data)
        assert all(same(attached.item_graphs[m], item_graph(data, m, K)) for m in data.features)
    assert len(records(tmp_path)) == 2
    assert data.item_graphs == {}


def test_only_what_is_missing_is_attached(tmp_path: Path) -> None:
    data = tiny_data()
    given = knn_graph(data.features["image"], 2 * K)
    attached = cache(tmp_path).attach(replace(data, item_graphs={"image": given}))
    assert attached.item_graphs["image"] is given
    assert cache(tmp_path, modalities=("text",)).attach(data).item_graphs.keys() == {"text"}
    assert ItemGraphCache(tmp_path, choice("lightgcn"), "tiny").attach(data) is data


def test_a_withdrawn_item_is_nobodys_neighbour_and_others_refill(tmp_path: Path) -> None:
    data = tiny_data()
    retain = without_two_items(data)
    graphs = cache(tmp_path)
    graphs.attach(data)
    gone = retain.withdrawn_items
    assert len(gone) == 2
    for graph in graphs.attach(retain).item_graphs.values():
        counts = graph.crow_indices().diff()
        assert not torch.isin(graph.col_indices(), gone).any()
        assert not counts[gone].any()
        assert (int(counts.sum()), int(counts.max())) == ((NUM_ITEMS - 2) * K, K)


def test_features_that_survived_in_withdrawn_rows_change_nothing(tmp_path: Path) -> None:
    retain = without_two_items(tiny_data())
    graphs = cache(tmp_path)
    first = graphs.attach(retain)
    again = graphs.attach(replace(retain, features=tiny_data().features))
    assert all(again.item_graphs[m] is first.item_graphs[m] for m in retain.features)


def test_one_tensor_for_equal_content(tmp_path: Path) -> None:
    """A backbone takes its graphs for unchanged only where the very tensors are the same."""
    data = tiny_data()
    retain = draw(RequestOptions("user", ratio=None, count=3), data).apply(data)
    graphs = cache(tmp_path)
    full, retain = graphs.attach(data), graphs.attach(retain)
    assert all(full.item_graphs[m] is retain.item_graphs[m] for m in data.features)
    assert graphs.seconds(retain, besides=full) == 0.0


def test_recorded_seconds_are_reported_built_or_found(tmp_path: Path) -> None:
    data = tiny_data()
    first = cache(tmp_path)
    assert first.seconds(first.attach(data)) == sum(r["seconds"] for r in records(tmp_path).values())
    slow_down(tmp_path, 100.0)
    graphs = cache(tmp_path)
    full = graphs.attach(data)
    assert graphs.seconds(full) == 200.0
    assert graphs.seconds(data) == 0.0
    own = graphs.seconds(graphs.attach(without_two_items(data)), besides=full)
    assert 0.0 < own < 100.0


@pytest.mark.parametrize("what", ["neighbours", "threads", "features"])
def test_other_content_or_hardware_is_another_graph(what: str, tmp_path: Path) -> None:
    data = tiny_data()
    cache(tmp_path).attach(data)
    other = 5 if what == "neighbours" else K
    if what == "threads":
        torch.set_num_threads(2)
    if what == "features":
        data = tiny_data(seed=1)
    ItemGraphCache(tmp_path, choice(neighbours=other), "tiny").attach(data)
    assert len(records(tmp_path)) == 4


def test_one_builder_per_key(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO), ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: cache(tmp_path).attach(tiny_data()), range(4)))
    assert sum("built in" in message for message in caplog.messages) == 2
    assert all(same(found[0].item_graphs["image"], other.item_graphs["image"]) for other in found)


def test_an_edited_building_time_never_reaches_a_clock(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    data = tiny_data()
    cache(tmp_path, modalities=("image",)).attach(data)
    (record,) = records(tmp_path)
    edit(record, seconds=999.0)
    graphs = cache(tmp_path, modalities=("image",))
    with caplog.at_level(logging.WARNING):
        again = graphs.attach(data)
    assert same(again.item_graphs["image"], item_graph(data, "image", K))
    assert graphs.seconds(again) < 999.0
    assert "is damaged: its record was changed" in caplog.text
    assert len(list((tmp_path / "item_graphs").glob("*.damaged-*"))) == 1


def test_a_full_disk_costs_the_cache_entry_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    graphs = cache(tmp_path)
    assert graphs.seconds(graphs.attach(tiny_data())) > 0
    assert records(tmp_path) == {}


def test_too_few_items_with_content_are_left_to_the_backbone(tmp_path: Path) -> None:
    """A given graph with fewer neighbours than k is refused by backbones; theirs has as many as there are."""
    data = tiny_data()
    bare = {m: x.index_fill(0, torch.arange(K - 1, NUM_ITEMS), 0.0) for m, x in data.features.items()}
    attached = cache(tmp_path).attach(replace(data, features=bare))
    assert attached.item_graphs == {}
    load_class("backbone", "mgcn")(attached, choice(neighbours=K).options)
