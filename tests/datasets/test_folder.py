"""A folder given by its path reads as the same folder below the data root."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.config.compose import expand
from datasets.errors import InputError
from datasets.folder import Folder, FolderOptions
from datasets.id_maps import FILES
from datasets.item_text import ItemText
from datasets.item_text_files import json_line
from datasets.mmrec import MMRec, MMRecOptions
from tests.datasets.test_mmrec import ROWS, write_inter


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three users and four items with text and own ids."""
    place = tmp_path / "shop"
    place.mkdir()
    write_inter(place, ROWS)
    (place / "item_text.jsonl").write_text(json_line(1, ItemText(title="Lamp")), encoding="utf-8")
    (place / FILES["user"]).write_text("user\tuserID\na\t0\nb\t1\nc\t2\n", encoding="utf-8")
    (place / FILES["item"]).write_text("item\titemID\nw\t0\nx\t1\ny\t2\nz\t3\n", encoding="utf-8")
    return place


def reader(path: Path) -> Folder:
    return Folder("shop", FolderOptions(str(path)), Path("nowhere"))


def test_text_and_own_ids_are_read(folder: Path) -> None:
    raw = reader(folder).read()
    assert raw.item_text == (ItemText(), ItemText(title="Lamp"), ItemText(), ItemText())
    assert raw.id_maps is not None
    assert (raw.id_maps.user.own, raw.id_maps.item.own) == (tuple("abc"), tuple("wxyz"))


def test_same_content_as_below_the_data_root(folder: Path) -> None:
    below = MMRec("shop", MMRecOptions("shop"), folder.parent)
    assert reader(folder).identity() == below.identity()
    assert np.array_equal(reader(folder).read().train, below.read().train)


def test_identity_covers_text_and_own_ids(folder: Path) -> None:
    before = reader(folder).identity()
    (folder / "item_text.jsonl").write_text(json_line(1, ItemText(title="Bag")), encoding="utf-8")
    other = reader(folder).identity()
    assert other != before
    (folder / FILES["user"]).write_text("user\tuserID\na\t0\nc\t1\nb\t2\n", encoding="utf-8")
    assert reader(folder).identity() != other


def test_the_only_inter_file_may_have_another_name(folder: Path) -> None:
    moved = folder.rename(folder.with_name("renamed"))
    assert reader(moved).read().num_items == 4
    (moved / "second.inter").write_text("", encoding="utf-8")
    with pytest.raises(InputError, match=r"renamed\.inter is missing"):
        reader(moved).read()


def test_two_text_files_are_refused(folder: Path) -> None:
    (folder / "item_text.csv").write_text("itemID\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"has both item_text\.jsonl and item_text\.csv: keep one"):
        reader(folder).identity()


def test_no_path_and_a_wrong_path(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"dataset=folder needs the path .*: add dataset.path=<folder>"):
        Folder("folder", FolderOptions(), tmp_path).modalities()
    with pytest.raises(InputError, match=r"dataset.path=.*none is not a folder"):
        reader(tmp_path / "none").modalities()


def test_the_label_is_the_name_of_the_folder(folder: Path) -> None:
    overrides = ["dataset=folder", f"dataset.path={folder}/", "backbone=lightgcn"]
    assert expand(overrides, multirun=False)[0].data_name == "shop"
    assert expand([*overrides, "dataset.name=toys"], multirun=False)[0].data_name == "toys"
