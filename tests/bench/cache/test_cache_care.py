"""Listing, verifying and pruning the cache; removing what dead processes left and nothing else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
import torch

from bench.cache.care import damage, entries, main, prune, remove_leftovers
from bench.cache.store import PREPARED, Content, ContentStore, sealed
from bench.disk.files import checksum
from bench.disk.locks import held, lock_file
from bench.disk.owned import MARK, claim
from bench.record.owner import owner_tags
from tests.bench.cache.records import edit


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path) -> None:
    """The folder of a test is a cache."""
    claim(tmp_path, "cache.dir")


def model(cache: Path, key: str, days: float = 0.0, content: bytes = b"weights") -> Path:
    folder = cache / "models" / key
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(content)
    about = {"role": "gold", "dataset": "baby", "backbone": {"name": "mgcn"}, "seed": 3}
    record = {"key": key, "tensors_sha256": checksum(folder / "weights.safetensors"), "about": about}
    (folder / "record.json").write_text(json.dumps(sealed(record)))
    os.utime(folder, (time.time() - days * 86_400,) * 2)
    return folder


BESIDE = "0123456789abcdef"
"""Ends the names of what is half-written."""


def run(cache: Path, *arguments: str) -> int:
    return main(["--dir", str(cache), *arguments])


def test_list_and_size_name_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model(tmp_path, "one", content=b"x" * 2_000_000)
    assert (run(tmp_path, "list"), run(tmp_path, "size")) == (0, 0)
    printed = capsys.readouterr().out
    assert all(part in printed for part in ("one", "gold", "baby", "mgcn", "2.0 MB", "1 models"))


def test_verify_finds_damage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model(tmp_path, "good")
    assert run(tmp_path, "verify") == 0
    (model(tmp_path, "bad") / "weights.safetensors").write_bytes(b"wrong")
    (model(tmp_path, "gone") / "weights.safetensors").unlink()
    (model(tmp_path, "cut") / "record.json").write_text("{")
    (model(tmp_path, "list") / "record.json").write_text("[]")
    edit(model(tmp_path, "edited") / "record.json", about={"seed": 4})
    assert run(tmp_path, "verify") == 1
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("bad: its checksum", "gone: its weights", "cut: its record"))
    assert all(text in printed for text in ("list: its record cannot", "edited: its record was changed"))
    assert "6 models, 0.0 MB, 5 damaged" in printed
    assert run(tmp_path, "list") == 0
    assert [entry.folder.name for entry in entries(tmp_path) if damage(entry) is None] == ["good"]


def test_prune_by_age_and_by_reference(tmp_path: Path) -> None:
    for key, days in (("old", 40.0), ("new", 1.0), ("wanted", 40.0)):
        model(tmp_path, key, days)
    model(tmp_path, "x.damaged-1")
    would = prune(tmp_path, days=30.0, keep=None, dry=True)
    assert {entry.folder.name for entry in would} == {"old", "wanted", "x.damaged-1"}
    assert len(entries(tmp_path)) == 4
    prune(tmp_path, days=None, keep={"wanted"}, dry=False)
    assert [entry.folder.name for entry in entries(tmp_path)] == ["wanted"]


def test_a_model_in_use_is_not_pruned(tmp_path: Path) -> None:
    model(tmp_path, "busy", days=40.0)
    with held(lock_file(tmp_path, "busy"), "a test"):
        assert prune(tmp_path, days=1.0, keep=None, dry=False) == []
    assert len(prune(tmp_path, days=1.0, keep=None, dry=False)) == 1


def test_only_what_dead_processes_left_is_removed(tmp_path: Path) -> None:
    for name in (".dead." + BESIDE, ".busy." + BESIDE):
        (tmp_path / "models" / name).mkdir(parents=True)
    model(tmp_path, "kept")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "stale.lock").touch()
    (tmp_path / "progress").mkdir()
    tags = owner_tags()
    dead = {"state": {}, "lethe.owner": tags["lethe.owner"].replace('"pid": ', '"pid": 9')}
    (tmp_path / "progress" / "alive-3.json").write_text(json.dumps({"state": {}, **tags}))
    (tmp_path / "progress" / "dead-1.json").write_text(json.dumps(dead))
    for name, silent in (("cut-2.json", 60.0), ("just-now-4.json", 0.0)):  # killed, or seen, while writing
        path = tmp_path / "progress" / name
        path.write_text("")
        os.utime(path, (time.time() - silent,) * 2)
    with held(lock_file(tmp_path, "busy"), "a test"):
        removed = remove_leftovers(tmp_path)
    assert {path.name for path in removed} == {".dead." + BESIDE, "stale.lock", "dead-1.json", "cut-2.json"}
    assert {path.name for path in (tmp_path / "models").iterdir()} == {".busy." + BESIDE, "kept"}
    assert {path.name for path in (tmp_path / "progress").iterdir()} == {"alive-3.json", "just-now-4.json"}


def test_unreferenced_asks_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.config.schema import TrackingConfig
    from bench.record.store import Store

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/runs.db"
    store = Store(TrackingConfig(uri=uri))
    tags = {"lethe.kind": "cell", "lethe.original_key": "used", "lethe.gold_key": "gold"}
    store.finish(store.start("cell", tags))
    for key in ("used", "unused"):
        model(tmp_path, key)
    assert run(tmp_path, "prune", "--unreferenced", "--tracking-uri", uri, "--dry") == 0
    assert len(entries(tmp_path)) == 2
    assert run(tmp_path, "prune", "--unreferenced", "--tracking-uri", uri) == 0
    assert [entry.folder.name for entry in entries(tmp_path)] == ["used"]


def graph(cache: Path, key: str, days: float = 0.0) -> Path:
    folder = cache / "item_graphs" / key
    folder.mkdir(parents=True)
    (folder / "graph.safetensors").write_bytes(b"graph")
    about = {"role": "item graph (image)", "dataset": "baby"}
    record = {"key": key, "tensors_sha256": checksum(folder / "graph.safetensors"), "about": about}
    (folder / "record.json").write_text(json.dumps(sealed(record)))
    os.utime(folder, (time.time() - days * 86_400,) * 2)
    return folder


def test_item_graphs_are_listed_and_verified(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model(tmp_path, "weights")
    graph(tmp_path, "whole")
    assert (run(tmp_path, "list"), run(tmp_path, "verify")) == (0, 0)
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("whole", "item graph (image)", "1 models, 1 item graphs"))
    (graph(tmp_path, "bad") / "graph.safetensors").write_bytes(b"wrong")
    (graph(tmp_path, "gone") / "graph.safetensors").unlink()
    assert run(tmp_path, "verify") == 1
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("bad: its checksum", "gone: its graph is missing"))


def test_item_graphs_are_pruned_by_age_and_not_by_reference(tmp_path: Path) -> None:
    graph(tmp_path, "old", days=40.0)
    graph(tmp_path, "new")
    graph(tmp_path, "x.damaged-1")
    (tmp_path / "item_graphs" / (".dead." + BESIDE)).mkdir()
    (tmp_path / "item_graphs" / (".busy." + BESIDE)).mkdir()
    with held(lock_file(tmp_path, "busy"), "a test"):
        assert [path.name for path in remove_leftovers(tmp_path)] == [".dead." + BESIDE]
    assert {entry.folder.name for entry in prune(tmp_path, None, keep=set(), dry=False)} == {"x.damaged-1"}
    assert {entry.folder.name for entry in prune(tmp_path, 30.0, keep=None, dry=False)} == {"old"}
    assert [entry.folder.name for entry in entries(tmp_path)] == ["new"]


def prepared(cache: Path, key: str, days: float = 0.0) -> Path:
    about = {"role": "preparation of unlearnrec", "dataset": "baby", "backbone": {"name": "mgcn"}, "seed": 3}
    store = ContentStore(cache, PREPARED)
    store.keep(key, Content({"noise": torch.ones(3)}, {"seconds": 1.0, "figures": {}}, about))
    os.utime(store.folder(key), (time.time() - days * 86_400,) * 2)
    return store.folder(key)


def test_prepared_states_are_listed_verified_and_pruned_by_age(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model(tmp_path, "weights")
    prepared(tmp_path, "whole")
    assert (run(tmp_path, "list"), run(tmp_path, "verify")) == (0, 0)
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("whole", "preparation of", "1 models, 1 prepared states"))
    (prepared(tmp_path, "gone", days=40.0) / "state.safetensors").unlink()
    assert run(tmp_path, "verify") == 1
    assert "gone: its state is missing" in capsys.readouterr().out
    assert {entry.folder.name for entry in prune(tmp_path, None, keep={"weights"}, dry=False)} == set()
    os.utime(tmp_path / "prepared" / "gone", (time.time() - 40 * 86_400,) * 2)
    assert {entry.folder.name for entry in prune(tmp_path, 30.0, keep=None, dry=False)} == {"gone"}
    assert [entry.folder.name for entry in entries(tmp_path)] == ["weights", "whole"]


def test_unreferenced_takes_the_store_of_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the harness does; what names no finished cell would have every model removed, and is refused."""
    from bench.config.schema import TrackingConfig
    from bench.record.store import Store

    monkeypatch.chdir(tmp_path)
    uri = f"sqlite:///{tmp_path}/elsewhere.db"
    store = Store(TrackingConfig(uri=uri))
    model(tmp_path, "used")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert run(tmp_path, "prune", "--unreferenced") == 2
    assert "experiment=lethe has no finished cell" in capsys.readouterr().err
    assert run(tmp_path, "prune", "--unreferenced", "--experiment", "lehte") == 2
    assert "experiment=lehte is not there" in capsys.readouterr().err
    assert run(tmp_path, "prune", "--unreferenced", "--tracking-uri", "sqlite:///missing.db") == 2
    assert not (tmp_path / "missing.db").exists()
    store.finish(
        store.start("cell", {"lethe.kind": "cell", "lethe.original_key": "used", "lethe.gold_key": "used"})
    )
    model(tmp_path, "unused")
    assert run(tmp_path, "prune", "--unreferenced") == 0
    assert [entry.folder.name for entry in entries(tmp_path)] == ["used"]


def test_a_folder_that_was_there_before_is_no_cache(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What somebody keeps in folders of these names stays, whatever it is called."""
    folder = tmp_path / "project"
    theirs = ["models/.gitkeep", "models/.ipynb_checkpoints/a.py", "models/bert/config.json", "data/.secret"]
    theirs += ["progress/notes.json", "locks/my.lock", "README.md"]
    for name in theirs:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
        os.utime(folder / name, (0, 0))
    os.utime(folder / "models" / "bert", (0, 0))
    claim(folder, "cache.dir")
    assert not (folder / MARK).exists()
    assert remove_leftovers(folder) == []
    assert run(folder, "prune", "--older-than", "1") == 2
    assert f"is not marked as a cache of Lethe by a file {MARK}" in capsys.readouterr().err
    assert all((folder / name).exists() for name in theirs)


def test_in_a_cache_only_what_lethe_names_is_removed(tmp_path: Path) -> None:
    """Also where they came after the mark."""
    theirs = ["models/.gitkeep", "models/.ipynb_checkpoints/a.py", "models/bert/config.json"]
    theirs += ["progress/notes.json", "data/.secret"]
    for name in theirs:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (0, 0))
    os.utime(tmp_path / "models" / "bert", (0, 0))
    assert remove_leftovers(tmp_path) == []
    assert prune(tmp_path, days=1.0, keep=set(), dry=False) == []
    assert all((tmp_path / name).exists() for name in theirs)
