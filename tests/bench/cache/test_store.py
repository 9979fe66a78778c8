"""The content store: what is written is what is read; whatever is not is set aside and made again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from bench.cache import store as module
from bench.cache.store import Content, ContentStore, Damaged, Kind, checked_record
from tests.bench.cache.records import edit, rewrite

THINGS = Kind("things", "thing", "parts")


class Maker:
    """Makes a number with a tensor, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> tuple[float, Content]:
        self.calls += 1
        facts = {"seconds": 12.5, "curve": [(1, 0.5)], "undefined": float("nan")}
        return 12.5, Content({"x": torch.arange(6.0).reshape(2, 3).t()}, facts, {"role": "thing"})


def read(content: Content) -> float:
    assert torch.equal(content.tensors["x"], torch.arange(6.0).reshape(2, 3).t())
    return float(content.facts["seconds"])


def store(folder: Path) -> ContentStore:
    return ContentStore(folder, THINGS)


def test_what_is_made_once_is_found(tmp_path: Path) -> None:
    maker = Maker()
    assert store(tmp_path).get_or_make("k", read, maker) == (12.5, False)
    assert store(tmp_path).get_or_make("k", read, maker) == (12.5, True)
    assert maker.calls == 1
    assert checked_record(tmp_path / "things" / "k", THINGS)["about"] == {"role": "thing"}


def test_one_maker_per_key(tmp_path: Path) -> None:
    maker = Maker()
    with ThreadPoolExecutor(8) as pool:
        found = [pool.submit(store(tmp_path).get_or_make, "k", read, maker) for _ in range(8)]
    assert sorted(one.result()[1] for one in found) == [False] + [True] * 7
    assert maker.calls == 1


def flip_a_byte(folder: Path) -> None:
    content = bytearray((folder / "parts.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "parts.safetensors").write_bytes(bytes(content))


def drop_the_checksum(folder: Path) -> None:
    record = json.loads((folder / "record.json").read_text())
    (folder / "record.json").write_text(json.dumps({k: v for k, v in record.items() if k != module.SEAL}))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "its checksum is wrong": flip_a_byte,
    "its parts are missing": lambda folder: (folder / "parts.safetensors").unlink(),
    "its record cannot be read": lambda folder: (folder / "record.json").write_text('{"seconds": 1'),
    "its record was changed": lambda folder: edit(folder / "record.json", seconds=999.0),
    "its record has no checksum": drop_the_checksum,
    "its record is that of another": lambda folder: rewrite(folder / "record.json", key="another"),
}


@pytest.mark.parametrize("why", DAMAGES)
def test_what_is_not_as_it_was_written_is_set_aside_and_made_again(
    why: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    things, maker = store(tmp_path), Maker()
    things.get_or_make("k", read, maker)
    DAMAGES[why](things.folder("k"))
    with pytest.raises(Damaged, match=why):
        checked_record(things.folder("k"), THINGS)
    with caplog.at_level(logging.WARNING):
        assert things.get_or_make("k", read, maker) == (12.5, False)
    assert f"the cached thing k is damaged: {why}" in caplog.text
    assert len(list((tmp_path / "things").glob("k.damaged-*"))) == 1
    assert things.get_or_make("k", read, maker) == (12.5, True)


@pytest.mark.parametrize("record", ["[]", "3", "null", '"text"', "{}"])
def test_json_of_another_shape_is_damage(record: str, tmp_path: Path) -> None:
    things, maker = store(tmp_path), Maker()
    things.get_or_make("k", read, maker)
    (things.folder("k") / "record.json").write_text(record)
    assert things.get_or_make("k", read, maker) == (12.5, False)


@pytest.mark.parametrize("facts", [{}, {"seconds": None}, {"seconds": "soon"}])
def test_a_whole_record_that_its_reader_cannot_use_is_damage(
    facts: dict[str, object], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    things, maker = store(tmp_path), Maker()
    things.keep("k", Content(maker()[1].tensors, facts, {}))
    with caplog.at_level(logging.WARNING):
        assert things.get_or_make("k", read, maker) == (12.5, False)
    assert "it cannot be read (" in caplog.text


def test_an_error_of_the_reader_itself_is_not_taken_for_damage(tmp_path: Path) -> None:
    things = store(tmp_path)
    things.get_or_make("k", read, Maker())

    def broken(content: Content) -> float:
        raise RuntimeError("no memory")

    with pytest.raises(RuntimeError, match="no memory"):
        things.load("k", broken)
    assert things.load("k", read) == 12.5


def test_what_could_not_be_made_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> tuple[float, Content]:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        store(tmp_path).get_or_make("k", read, broken)
    assert not (tmp_path / "things").exists()


def test_a_full_disk_costs_the_entry_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.torch.save_file", full)
    with caplog.at_level(logging.WARNING):
        assert store(tmp_path).get_or_make("k", read, Maker()) == (12.5, False)
    assert "No space left" in caplog.text
    assert list((tmp_path / "things").iterdir()) == []
