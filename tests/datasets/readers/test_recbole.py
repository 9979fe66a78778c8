"""RecBole's atomic files as they are: ids, splits, text, features, and every defect by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.cli import main
from datasets.errors import InputError
from datasets.interactions import RawDataset
from datasets.item_text import ItemText
from datasets.readers.recbole import RecBole, RecBoleOptions
from datasets.splits import per_user_labels
from datasets.validation import check
from tests.bench.cells import TINY

HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
USERS, ITEMS = 30, 20


def rows() -> list[tuple[str, str, float, float]]:
    rng = np.random.default_rng(0)
    chosen = [(u, i) for u in range(USERS) for i in rng.choice(ITEMS, 8, replace=False)]
    return [(f"u{u}", f"i-{i}", float(n % 5 + 1), 9.6e8 + n) for n, (u, i) in enumerate(chosen)]


def write_inter(path: Path, content: list[Any], header: str = HEADER) -> None:
    lines = ["\t".join(str(cell) for cell in row) for row in content]
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """30 users, 20 items, one item of the .item file that nobody met."""
    place = tmp_path / "ml"
    place.mkdir()
    write_inter(place / "ml.inter", rows())
    lines = [f'i-{i}\tFilm "{i}"\tdrama war\t{i} {i + 1}.5' for i in range(ITEMS + 1)]
    header = "item_id:token\ttitle:token\tgenre:token_seq\tpicture:float_seq"
    (place / "ml.item").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return place


def reader(folder: Path, **options: Any) -> RecBole:
    return RecBole("ml", RecBoleOptions(folder.name, **options), folder.parent)


def named(raw: RawDataset, split: str) -> set[tuple[str, str]]:
    assert raw.id_maps is not None
    users, items = raw.id_maps.user.own, raw.id_maps.item.own
    return {(users[u], items[i]) for u, i in getattr(raw, split).T}


def test_ids_follow_the_order_of_their_texts(folder: Path) -> None:
    raw = reader(folder).read()
    check(raw, "ml")
    assert raw.id_maps is not None
    assert raw.id_maps.user.own == tuple(sorted(f"u{u}" for u in range(USERS)))
    assert raw.id_maps.item.own == tuple(sorted(f"i-{i}" for i in range(ITEMS)))
    assert (raw.num_users, raw.num_items) == (USERS, ITEMS)
    every = set.union(*(named(raw, split) for split in ("train", "valid", "test")))
    assert every == {(user, item) for user, item, *_ in rows()}


def test_the_random_split_is_that_of_the_mmrec_family(folder: Path) -> None:
    raw, other = reader(folder, seed=3).read(), reader(folder, seed=4).read()
    users = np.repeat(np.arange(USERS), 8)
    labels = per_user_labels(users, np.random.default_rng(3))
    assert [raw.train.shape[1], raw.valid.shape[1]] == [(labels == 0).sum(), (labels == 1).sum()]
    assert named(raw, "test") != named(other, "test")


def test_leave_one_out_takes_the_last_by_time(folder: Path) -> None:
    raw = reader(folder, split="leave_one_out", time_field="timestamp").read()
    last = {user: item for user, item, *_ in rows()}
    assert named(raw, "test") == set(last.items())


def test_a_given_split_is_kept(folder: Path) -> None:
    content = rows()
    for n, split in enumerate(("train", "valid", "test")):
        write_inter(folder / f"ml.{split}.inter", content[n::3])
    raw = reader(folder).read()
    for n, split in enumerate(("train", "valid", "test")):
        assert named(raw, split) == {(user, item) for user, item, *_ in content[n::3]}


def test_low_ratings_are_dropped(folder: Path) -> None:
    raw = reader(folder, rating_field="rating", min_rating=3.0).read()
    kept = {(user, item) for user, item, rating, _ in rows() if rating >= 3}
    assert set.union(*(named(raw, split) for split in ("train", "valid", "test"))) == kept


def test_text_and_features_follow_the_ids(folder: Path) -> None:
    raw = reader(folder, features={"image": "picture"}).read()
    assert raw.item_text is not None
    assert raw.id_maps is not None
    for number, own in enumerate(raw.id_maps.item.own):
        film = int(own.removeprefix("i-"))
        assert raw.item_text[number] == ItemText(title=f'Film "{film}"', categories=("drama", "war"))
        assert raw.features["image"][number].tolist() == [film, film + 1.5]


def test_identity_follows_files_and_options(folder: Path) -> None:
    before = reader(folder).identity()
    assert reader(folder, seed=1).identity() != before
    (folder / "ml.item").unlink()
    assert reader(folder).identity() != before


def repeat(folder: Path) -> None:
    write_inter(folder / "ml.inter", [*rows(), rows()[0]])


def short(folder: Path) -> None:
    write_inter(folder / "ml.inter", [*rows(), ("u1", "i-1")])


def typed(folder: Path) -> None:
    write_inter(folder / "ml.inter", rows(), HEADER.replace("item_id:token", "item_id:float"))


def untyped(folder: Path) -> None:
    write_inter(folder / "ml.inter", rows(), HEADER.replace("item_id:token", "item_id"))


def other_names(folder: Path) -> None:
    write_inter(folder / "ml.inter", rows(), HEADER.replace("user_id", "reader"))


def vector(folder: Path) -> None:
    path = folder / "ml.item"
    path.write_text(path.read_text(encoding="utf-8").replace("\t3 4.5", "\t3 four"), encoding="utf-8")


def shorter_vector(folder: Path) -> None:
    path = folder / "ml.item"
    path.write_text(path.read_text(encoding="utf-8").replace("\t3 4.5", "\t3"), encoding="utf-8")


def twice(folder: Path) -> None:
    with (folder / "ml.item").open("a", encoding="utf-8") as file:
        file.write("i-3\tFilm\tdrama\t1 2\n")


DEFECTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (
        lambda f: (f / "ml.inter").unlink(),
        r"ml\.inter is missing, and so is one of ml\.train\.inter",
    ),
    "repeated": (repeat, r"user 'u0' and item 'i-\d+' come together in more than one row"),
    "short row": (short, r"ml\.inter, line 242 has 2 cells and not 4"),
    "wrong type": (typed, "has the item item_id as float: it must be item_id:token"),
    "no type": (untyped, "has the field 'item_id' in its header"),
    "other names": (other_names, "has no column user_id, which dataset.user_field names"),
    "bad vector": (vector, r"ml\.item, line 5 has '3 four' as picture: write numbers"),
    "short vector": (shorter_vector, r"ml\.item has 2 different lengths of picture"),
    "item twice": (twice, r"ml\.item, line 23 describes item 'i-3' again after .*line 5"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_defect_is_named(folder: Path, defect: str) -> None:
    damage, message = DEFECTS[defect]
    damage(folder)
    with pytest.raises(InputError, match=message) as caught:
        reader(folder, features={"image": "picture"}).read()
    assert "\n" not in str(caught.value)


def test_options_that_do_not_fit(folder: Path) -> None:
    with pytest.raises(InputError, match=r"dataset\.split=temporal needs times and .*ml\.inter has none"):
        reader(folder, split="temporal").read()
    with pytest.raises(InputError, match=r"dataset\.features\.image=title is no float_seq field"):
        reader(folder, features={"image": "title"}).modalities()
    with pytest.raises(InputError, match=r"dataset\.min_rating=3\.0 needs ratings .*dataset\.rating_field"):
        reader(folder, min_rating=3.0).read()
    with pytest.raises(InputError, match=r"dataset=recbole needs the folder"):
        RecBole("ml", RecBoleOptions(), folder).identity()


def test_a_cell_runs_on_it(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    own = [argument for argument in TINY if not argument.startswith("dataset")]
    chosen = [
        "dataset=recbole",
        "dataset.folder=ml",
        "+dataset.features.image=picture",
        "method=graph_only",
    ]
    (tmp_path / "request.csv").write_text("user\nu4\nu17\n", encoding="utf-8")
    assert main([*own, *chosen, f"data_root={tmp_path}", "regime.file=request.csv"]) == 0
