"""From raw files to a folder: formats, splits, policies, restart, and what must not be touched."""

from __future__ import annotations

import gzip
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from datasets.errors import InputError
from datasets.folder import Folder, FolderOptions
from datasets.named import reader_named
from datasets.prepare import finish, pipeline
from datasets.prepare.work import Work
from datasets.validation import check
from tests.bench.cells import environment
from tests.datasets.prepare.raw import (
    ITEMS,
    USERS,
    content,
    digests,
    id_map,
    item,
    orders,
    prepare,
    provenance,
    refused,
    table,
    write_csv,
    write_shop,
)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_shop(tmp_path)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shop prepared with text and pictures, to be read only."""
    folder = write_shop(tmp_path_factory.mktemp("whole"))
    assert prepare(folder, *content(folder)) == 0
    return folder / "out" / "shop"


def own_pairs(folder: Path, label: str | None = None) -> set[tuple[str, str]]:
    users, items = id_map(folder, "user"), id_map(folder, "item")
    return {
        (users[int(row["userID"])], items[int(row["itemID"])])
        for row in table(folder)
        if label in (None, row["x_label"])
    }


def test_the_folder_reads_and_holds_what_was_given(whole: Path) -> None:
    raw = Folder("shop", FolderOptions(str(whole)), whole).read()
    check(raw, "shop")
    assert (raw.num_users, raw.num_items) == (USERS, ITEMS)
    assert own_pairs(whole) == {row[:2] for row in orders()}
    assert raw.item_text is not None
    assert raw.item_text[2].title == "blue lamp no 2"
    assert raw.item_text[2].categories == ("home", "blue")
    assert not raw.item_text[3]
    assert set(raw.features) == set(raw.item_graphs) == {"image", "text"}
    assert [not row.any() for row in raw.features["text"]] == [i == 3 for i in range(ITEMS)]
    assert [not row.any() for row in raw.features["image"]] == [i == 5 for i in range(ITEMS)]


def test_features_tell_the_colours_apart(whole: Path) -> None:
    """The nearest items, by picture and by title, are of the item's own colour."""
    raw = Folder("shop", FolderOptions(str(whole)), whole).read()
    for modality in ("image", "text"):
        graph = raw.item_graphs[modality].tocoo()
        assert graph.nnz == (ITEMS - 1) * 10
        assert (graph.row % 4 == graph.col % 4).mean() > 0.9


def test_the_provenance_tells_sources_counts_and_features(whole: Path) -> None:
    told: dict[str, Any] = provenance(whole)
    assert [(source["file"], source["role"]) for source in told["sources"]] == [
        ("orders.csv", "interactions"),
        ("items.csv", "items"),
        ("pictures", "pictures"),
    ]
    assert told["counts"]["text"] == {"items_described": 39, "items_with_text": 39, "prices_not_read": 0}
    assert told["counts"]["pictures"] == {"items_with_picture": 39, "broken_pictures": 0}
    for modality, label in (("image", "histograms: no model"), ("text", "SVD: no model")):
        notes = told["features"][modality]
        assert notes["label"].endswith(label)
        assert (notes["items_without_content"], notes["zero_rows"], notes["missing"]) == (1, 1, "zero")
    assert told["options"]["filters"] == {"min_rating": None, "duplicates": "first", "k_core": 5}
    assert told["options"]["split"]["seed"] == 0
    assert "out" not in told["options"]


def test_the_configuration_reads_the_folder(whole: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from bench.config.compose import expand

    (config,) = expand(["dataset=shop"], False, str(whole / "conf"))
    assert (config.dataset.name, config.dataset.reader) == ("shop", "folder")
    assert Path(config.dataset.options.path) == whole.resolve()
    monkeypatch.setenv("LETHE_DATA", str(whole.parent))
    assert reader_named("shop", whole.parent).modalities() == ("image", "text")


def test_below_the_data_root_the_configuration_names_no_path(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LETHE_DATA", str(shop / "out"))
    assert prepare(shop) == 0
    text = (shop / "out" / "shop" / "conf" / "dataset" / "shop.yaml").read_text(encoding="utf-8")
    assert yaml.safe_load(text) == {"name": "shop", "reader": "mmrec", "folder": "shop", "modalities": None}


def jsonl(folder: Path, names: tuple[str, str, str, str], milliseconds: bool = False) -> Path:
    path = folder / "reviews.jsonl.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        for user, own, rating, time in orders():
            values = user, own, float(rating), int(time) * (1000 if milliseconds else 1)
            file.write(json.dumps(dict(zip(names, values, strict=True))) + "\n")
    return path


def atomic(folder: Path) -> Path:
    path = folder / "shop.inter"
    lines = ["\t".join(row) for row in orders()]
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    path.write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return path


def parquet(folder: Path) -> Path:
    path = folder / "orders.parquet"
    columns = zip(*orders(), strict=True)
    names = ("user", "item", "rating", "timestamp")
    values = dict(zip(names, (list(column) for column in columns), strict=True))
    pq.write_table(pa.table({**values, "rating": [float(r) for r in values["rating"]]}), path)
    return path


def pairs_per_user(folder: Path) -> Path:
    path = folder / "shop_pairs.tsv"
    by_user: dict[str, list[str]] = {}
    for user, own, *_ in orders():
        by_user.setdefault(user, []).append(own)
    path.write_text("".join(f"{u}\t{' '.join(owned)}\n" for u, owned in by_user.items()), encoding="utf-8")
    return path


def reordered(folder: Path) -> Path:
    rows = [(time, own, user, rating) for user, own, rating, time in reversed(orders())]
    return write_csv(folder / "reordered.csv", "when,what,who,stars", rows)


def headless(folder: Path) -> Path:
    path = folder / "headless.csv"
    path.write_text("".join(f"{','.join(row)}\n" for row in orders()), encoding="utf-8")
    return path


AMAZON = ("reviewerID", "asin", "overall", "unixReviewTime")
RENAMED = ["--user-column", "who", "--item-column", "what", "--time-column", "when"]
FORMATS: dict[str, tuple[Callable[[Path], Path], list[str]]] = {
    "csv, other names, other order": (reordered, RENAMED),
    "csv without a header": (headless, ["--header", "user,item,rating,timestamp"]),
    "parquet": (parquet, []),
    "jsonl": (lambda f: jsonl(f, ("user", "item", "rating", "timestamp")), []),
    "amazon2014": (lambda f: jsonl(f, AMAZON), ["--format", "amazon2014"]),
    "amazon2018": (lambda f: jsonl(f, AMAZON), ["--format", "amazon2018"]),
    "recbole": (atomic, []),
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_table_and_ids(shop: Path, whole: Path, name: str) -> None:
    write, arguments = FORMATS[name]
    assert prepare(shop, "--interactions", str(write(shop)), *arguments) == 0
    out = shop / "out" / "shop"
    for file in ("shop.inter", "u_id_mapping.csv", "i_id_mapping.csv"):
        assert (out / file).read_bytes() == (whole / file).read_bytes(), file


def test_amazon_2023_and_several_files(shop: Path, whole: Path) -> None:
    names = ("user_id", "parent_asin", "rating", "timestamp")
    assert prepare(shop, "--interactions", str(jsonl(shop, names, True)), "--format", "amazon2023") == 0
    assert own_pairs(shop / "out" / "shop", "2") == own_pairs(whole, "2")
    half = len(orders()) // 2
    header = "user,item,rating,timestamp"
    parts = [
        write_csv(shop / f"{n}.csv", header, part)
        for n, part in enumerate((orders()[:half], orders()[half:]))
    ]
    assert prepare(shop, "--interactions", *map(str, parts), "--overwrite") == 0
    assert (shop / "out" / "shop" / "shop.inter").read_bytes() == (whole / "shop.inter").read_bytes()


def test_microlens_keeps_the_order_of_the_line(shop: Path) -> None:
    chosen = ["--format", "microlens", "--split", "leave_one_out"]
    assert prepare(shop, "--interactions", str(pairs_per_user(shop)), *chosen) == 0
    last = {user: own for user, own, *_ in orders()}
    assert own_pairs(shop / "out" / "shop", "2") == set(last.items())
    assert own_pairs(shop / "out" / "shop") == {row[:2] for row in orders()}


def test_leave_one_out_and_temporal(shop: Path) -> None:
    assert prepare(shop, "--split", "leave_one_out", name="last") == 0
    by_user: dict[str, list[str]] = {}
    for user, own, *_ in sorted(orders(), key=lambda row: int(row[3])):
        by_user.setdefault(user, []).append(own)
    assert own_pairs(shop / "out" / "last", "2") == {(user, owned[-1]) for user, owned in by_user.items()}
    assert own_pairs(shop / "out" / "last", "1") == {(user, owned[-2]) for user, owned in by_user.items()}
    assert prepare(shop, "--split", "temporal", name="late") == 0
    times = {
        label: [int(r["timestamp"]) for r in table(shop / "out" / "late") if r["x_label"] == label]
        for label in "012"
    }
    assert max(times["0"]) < min(times["1"]) <= max(times["1"]) < min(times["2"])
    assert 0.05 < len(times["2"]) / len(orders()) < 0.2


def cold_orders(folder: Path) -> Path:
    """The shop's orders, and late ones by a newcomer and of a new item."""
    rows = orders()
    late = [("newcomer", item(i), "5", str(2 * 10**9 + i)) for i in range(6)]
    late += [(f"user {u}", "new item", "5", str(2 * 10**9 + 50 + u)) for u in range(6)]
    return write_csv(folder / "cold.csv", "user,item,rating,timestamp", rows + late)


def test_cold_pairs_are_kept_or_dropped_and_counted(shop: Path) -> None:
    given = ["--interactions", str(cold_orders(shop)), "--split", "temporal"]
    assert prepare(shop, *given, name="kept") == 0
    kept, out = shop / "out" / "kept", shop / "out" / "dropped"
    assert provenance(kept)["counts"]["core"]["cold_pairs"] == 12
    assert "newcomer" in id_map(kept, "user")
    assert prepare(shop, *given, "--cold-pairs", "drop", name="dropped") == 0
    assert "newcomer" not in id_map(out, "user")
    assert "new item" not in id_map(out, "item")
    assert own_pairs(kept) - own_pairs(out) == {
        pair for pair in own_pairs(kept) if "newcomer" in pair or "new item" in pair
    }
    trained = {user for user, _ in own_pairs(out, "0")}
    assert {user for user, _ in own_pairs(out)} == trained


@pytest.mark.parametrize("missing", ["mean", "drop"])
def test_policies_for_missing_content(shop: Path, missing: str) -> None:
    assert prepare(shop, *content(shop), "--missing", missing) == 0
    out = shop / "out" / "shop"
    features, items = np.load(out / "text_feat.npy"), id_map(out, "item")
    counts = provenance(out)["counts"]["core"]
    if missing == "drop":
        assert not {item(3), item(5)} & set(items)
        assert counts["items_dropped_without_content"] == 2
        assert features.any(axis=1).all()
    else:
        assert np.allclose(features[3], np.delete(features, 3, axis=0).mean(axis=0), atol=1e-6)
        assert counts["items_dropped_without_content"] == 0
    assert all((user, own) in own_pairs(out) for user, own, *_ in orders() if own in items)


def test_the_core_holds_after_items_without_content_are_dropped(shop: Path) -> None:
    assert prepare(shop, *content(shop), "--missing", "drop", "--k-core", "8") == 0
    rows = table(shop / "out" / "shop")
    for column in ("userID", "itemID"):
        counts = np.bincount([int(row[column]) for row in rows])
        assert counts.min() >= 8


def test_given_features(shop: Path) -> None:
    ids = [item(i) for i in reversed(range(ITEMS)) if i != 7] + ["unknown"]
    vectors = np.array([[int(own[1:]), 1] for own in ids[:-1]] + [[9, 9]], dtype=np.float64)
    np.savez(shop / "v.npz", ids=np.array(ids), vectors=vectors)
    pq.write_table(pa.table({"item": ids, "vector": vectors.tolist()}), shop / "v.parquet")
    for file in ("v.npz", "v.parquet"):
        chosen = ["--features", f"image={shop / file}", f"audio={shop / file}"]
        assert prepare(shop, *chosen, "--overwrite") == 0
        for modality in ("image", "audio"):
            found = np.load(shop / "out" / "shop" / f"{modality}_feat.npy")
            expected = [[0, 0] if i == 7 else [i, 1] for i in range(ITEMS)]
            assert found.tolist() == expected


def test_amazon_visual_features(shop: Path) -> None:
    rows = [(f"{row[0]}", f"{row[1]:>10}".replace(" ", "0"), row[2], row[3]) for row in orders()]
    path = write_csv(shop / "long.csv", "user,item,rating,timestamp", rows)
    with (shop / "v.b").open("wb") as file:
        for i in range(ITEMS):
            file.write(f"{item(i):>10}".replace(" ", "0").encode())
            file.write(np.full(4096, i, dtype="<f4").tobytes())
    assert (
        prepare(shop, "--interactions", str(path), "--features", f"image={shop / 'v.b'}", "--no-graphs") == 0
    )
    found = np.load(shop / "out" / "shop" / "image_feat.npy")
    assert found.shape == (ITEMS, 4096)
    assert found[:, 0].tolist() == list(range(ITEMS))
    assert not list((shop / "out" / "shop").glob("*_knn10.npz"))


def test_a_dry_run_writes_nothing(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")  # a narrow terminal breaks words, wherever the folder's name ends
    before = digests(shop)
    assert prepare(shop, *content(shop), "--dry-run") == 0
    shown = capsys.readouterr().out
    for told in ("orders.csv", "pictures", "5-core", "no model", "Nothing was written"):
        assert told in shown
    assert digests(shop) == before
    assert prepare(shop) == 0
    assert prepare(shop, "--dry-run") == 0
    assert "this needs --overwrite" in " ".join(capsys.readouterr().out.split())


def test_the_same_command_again_does_nothing(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert prepare(shop, *content(shop)) == 0
    before = (shop / "out" / "shop").stat().st_ino
    assert prepare(shop, *content(shop)) == 0
    assert "was prepared before" in capsys.readouterr().out
    assert (shop / "out" / "shop").stat().st_ino == before
    assert [path.name for path in (shop / "out").iterdir()] == ["shop"]


def test_other_options_or_pictures_need_leave_to_replace(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert prepare(shop, *content(shop)) == 0
    before = digests(shop / "out" / "shop")
    assert prepare(shop, *content(shop), "--k-core", "3") == 2
    assert "replace it with --overwrite" in capsys.readouterr().err
    (shop / "pictures" / f"{item(0)}.png").write_bytes((shop / "pictures" / f"{item(1)}.png").read_bytes())
    assert prepare(shop, *content(shop)) == 2
    assert digests(shop / "out" / "shop") == before
    assert prepare(shop, *content(shop), "--overwrite") == 0
    features = np.load(shop / "out" / "shop" / "image_feat.npy")
    assert (features[0] == features[1]).all()


def test_a_folder_of_another_origin_is_never_replaced(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (shop / "out" / "shop").mkdir(parents=True)
    (shop / "out" / "shop" / "thesis.txt").write_text("years of work", encoding="utf-8")
    assert prepare(shop, "--overwrite") == 2
    assert "was not made by this command" in capsys.readouterr().err
    assert (shop / "out" / "shop" / "thesis.txt").exists()


def test_a_failed_check_leaves_the_old_folder(
    shop: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert prepare(shop) == 0
    before = digests(shop / "out" / "shop")
    bad = write_csv(shop / "bad.csv", "user,item,rating,timestamp", [*orders(), ("a", "x", "nan", "1")])
    assert prepare(shop, "--interactions", str(bad), "--overwrite") == 2
    assert "rating 'nan'" in capsys.readouterr().err
    assert digests(shop / "out" / "shop") == before


STAGES = [
    "write_rows",
    "code_pairs",
    "write_texts",
    "write_pictures",
    "filter_and_split",
    "write_features",
    "write_graph",
    "write_inter",
    "finish",
]


@pytest.mark.parametrize("stage", STAGES)
def test_after_a_stop_in_any_stage_the_same_bytes_come_out(
    shop: Path, whole: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Killed at the end of a stage, its files half there: the next run starts from the stages before."""
    real = getattr(pipeline, stage)

    def stopped(*arguments: Any) -> Any:
        if stage != "finish":
            real(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, stage, stopped)
        patch.setattr(shutil, "rmtree", lambda *_, **__: None)  # a kill leaves no time to tidy up
        assert prepare(shop, *content(shop)) == 130
        assert not (shop / "out" / "shop").exists()
    done: list[str] = []
    with monkeypatch.context() as patch:
        patch.setattr(Work, "stage", recorded(done, Work.stage))
        assert prepare(shop, *content(shop)) == 0
    assert done[: len(done) - done.count("built")].count("found") == done.count("found")
    assert ("found" in done) == (stage != "write_rows")
    found, expected = digests(shop / "out" / "shop"), digests(whole)
    del found["conf/dataset/shop.yaml"], expected["conf/dataset/shop.yaml"]  # names the folder's place
    assert found == expected


def recorded(done: list[str], real: Callable[..., Any]) -> Callable[..., Any]:
    def stage(work: Work, name: str, inputs: Any, build: Any) -> Any:
        done.append("found" if work.find(name, inputs) else "built")
        return real(work, name, inputs, build)

    return stage


def test_what_a_killed_run_left_half_done_is_not_read(shop: Path, whole: Path) -> None:
    """A kill leaves no time to tidy up: the half-written folder of a stage is still there."""
    half = shop / "out" / ".shop.prepare" / ".building-coded-0123"
    half.mkdir(parents=True)
    (half / "pairs").write_bytes(b"half a file")
    assert prepare(shop, *content(shop)) == 0
    assert (shop / "out" / "shop" / "shop.inter").read_bytes() == (whole / "shop.inter").read_bytes()


def test_two_commands_at_once(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Work(shop / "out" / ".shop.prepare", print).locked():
        assert "another command is preparing" in refused(shop, capsys)


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout's conf folder."""
    conf = tmp_path / "conf"
    (conf / "dataset").mkdir(parents=True)
    monkeypatch.setattr(finish.register, "__defaults__", (conf,))
    return conf


def test_register_writes_into_the_checkout(shop: Path, checkout: Path) -> None:
    assert prepare(shop, "--register") == 0
    registered = checkout / "dataset" / "shop.yaml"
    assert registered.read_bytes() == (shop / "out/shop/conf/dataset/shop.yaml").read_bytes()
    assert prepare(shop, "--register", "--overwrite", "--k-core", "3") == 0


def test_register_spares_other_data_sets(
    shop: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "dataset" / "shop.yaml").write_text("name: shop\n", encoding="utf-8")
    assert prepare(shop, "--register") == 2
    assert "is there and is another data set" in capsys.readouterr().err
    assert (checkout / "dataset" / "shop.yaml").read_text(encoding="utf-8") == "name: shop\n"


def test_a_checkout_that_cannot_be_written(
    shop: Path, checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (checkout / "dataset").rmdir()
    assert prepare(shop, "--register") == 2
    assert "leave out --register and use --config-dir" in capsys.readouterr().err


CHANGES = [
    ["--k-core", "8"],
    ["--min-rating", "3"],
    ["--duplicates", "last"],
    ["--split", "leave_one_out"],
    ["--seed", "1"],
    ["--missing", "mean"],
    ["--missing", "drop"],
    ["--text-dim", "4"],
    ["--rating-column", "none"],
]


@pytest.mark.parametrize("change", CHANGES, ids=" ".join)
def test_other_options_after_a_stop_are_obeyed(
    shop: Path, monkeypatch: pytest.MonkeyPatch, change: list[str]
) -> None:
    """Only stages that do not depend on the changed option are taken from the stopped run."""
    write_csv(shop / "orders.csv", "user,item,rating,timestamp", [*orders(), *reversed(later())])
    chosen = [*content(shop), "--no-graphs"]
    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "finish", interrupted)
        assert prepare(shop, *chosen) == 130
    assert prepare(shop, *chosen, *change) == 0
    found = digests(shop / "out" / "shop")
    assert prepare(shop, *chosen, *change, out="fresh", name="shop") == 0
    expected = digests(shop / "fresh" / "shop")
    del found["conf/dataset/shop.yaml"], expected["conf/dataset/shop.yaml"]
    assert found == expected


def later() -> list[tuple[str, str, str, str]]:
    """Some orders once more, later and with another rating, and customers who bought six things."""
    again = [(user, own, "1", str(int(time) + 50)) for user, own, _, time in orders()[::7]]
    return again + [(f"rare {n}", item(7 * n + i), "5", str(10**9 + i)) for n in range(5) for i in range(6)]


def interrupted(*_: Any) -> None:
    raise KeyboardInterrupt


def test_nothing_is_there_before_the_last_check(
    shop: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: Any) -> None:
        raise InputError("the check refuses.")

    monkeypatch.setattr(finish, "check", refuse)
    assert refused(shop, capsys, *content(shop)) == "error: the check refuses."


def test_torch_stays_out_where_it_is_not_needed(shop: Path) -> None:
    arguments = [
        "prepare",
        "shop",
        "--interactions",
        "orders.csv",
        "--items",
        "items.csv",
        "--out",
        "out/shop",
    ]
    code = (
        "import sys; from datasets.__main__ import main;"
        f"code = main({[*arguments, '--images', 'pictures', '--no-graphs']!r});"
        "sys.exit(code or 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=shop, env=environment(shop), check=False)
    assert done.returncode == 0


def test_the_sources_may_lie_elsewhere(
    shop: Path, tmp_path_factory: pytest.TempPathFactory, whole: Path
) -> None:
    """The same bytes from another folder: no path gets in, but its own into the configuration."""
    moved = shop.rename(tmp_path_factory.mktemp("elsewhere") / "raw")
    assert prepare(moved, *content(moved)) == 0
    found, expected = digests(moved / "out" / "shop"), digests(whole)
    del found["conf/dataset/shop.yaml"], expected["conf/dataset/shop.yaml"]
    assert found == expected
