"""The doctor finds what is wrong, says how to put it right, and says so by its exit code."""

from __future__ import annotations

from importlib.metadata import Distribution
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench import doctor


def examine(*overrides: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = doctor.main(list(overrides))
    return code, capsys.readouterr().out


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_a_fresh_checkout_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = examine(capsys=capsys)
    assert code == 0, text
    for part in ("Python", "torch", "commit", "no runs yet", "0 models", "GB free"):
        assert part in text
    assert "does not exist" in text  # ./data, a warning


def test_broken_things_are_found_with_a_remedy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "baby").mkdir()
    (tmp_path / "baby" / "baby.inter").write_text("userID\titemID\tx_label\n0\t0\t7\n")
    entry = tmp_path / "cache" / "models" / f"{7:024x}"
    entry.mkdir(parents=True)
    (entry / "record.json").write_text("{")
    (tmp_path / "file").touch()
    store = f"tracking.uri=sqlite:///{tmp_path}/file/runs.db"
    code, text = examine("device=mps", f"data_root={tmp_path}", store, capsys=capsys)
    assert code == 1
    lines = text.splitlines()
    for start in (
        "broken  device",
        "broken  data      baby:",
        "broken  tracking",
        "warning cache     1 damaged",
    ):
        (found,) = [number for number, line in enumerate(lines) if line.startswith(start)]
        assert "remedy: " in lines[found + 1]


def test_the_hugging_face_package_is_reported(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    other = SimpleNamespace(metadata={"Name": "datasets"})
    monkeypatch.setattr(doctor, "distributions", lambda: [other, *Distribution.discover()])
    code, text = examine(capsys=capsys)
    assert code == 0
    assert "shares its name with ours" in text


def test_a_wrong_override_is_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    code, text = examine("dataset=nosuch", capsys=capsys)
    assert code == 1
    assert text.startswith("error: dataset=nosuch")


def small_folder(place: Path) -> None:
    place.mkdir(parents=True)
    rows = [f"{u}\t{i}\t{x}" for u in range(4) for i, x in ((u, 0), ((u + 1) % 4, 0), ((u + 2) % 4, 1))]
    rows += [f"{u}\t{(u + 3) % 4}\t2" for u in range(4)]
    (place / f"{place.name}.inter").write_text("\n".join(["userID\titemID\tx_label", *rows]) + "\n")


def test_data_sets_are_looked_for_where_they_are_configured(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Not under their label in ``data_root``: another folder there, or a path outside."""
    small_folder(tmp_path / "root" / "baby")
    small_folder(tmp_path / "outside" / "shop")
    elsewhere = ["dataset=folder", f"dataset.path={tmp_path}/outside/shop", "backbone=lightgcn"]
    code, text = examine(*elsewhere, f"data_root={tmp_path}/root", capsys=capsys)
    lines = [line.split(maxsplit=2)[2] for line in text.splitlines() if line.split()[1:2] == ["data"]]
    assert any(line.startswith("baby: 4 users, 4 items, 8/4/4 pairs") for line in lines), text
    assert any(line.startswith("shop: 4 users, 4 items, 8/4/4 pairs") for line in lines), text
    assert f"sports: not there, {tmp_path}/root/sports is no folder" in lines
    assert "recbole: a layout, whose folder is named with the command" in lines
    assert any(line.startswith("baby_wide: dataset.widths names") for line in lines), "it reads baby's files"
    assert code == 1
