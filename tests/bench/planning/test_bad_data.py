"""Damaged data through the command line: one sentence, exit code 2, nothing trained, no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from bench.cli import main

USERS, ITEMS = 30, 12
HEADER = "userID\titemID\tx_label"


def rows() -> list[str]:
    """Eight items per user: six to train on, one to validate, one to test."""
    return [
        f"{user}\t{(user + step) % ITEMS}\t{max(0, step - 5)}" for user in range(USERS) for step in range(8)
    ]


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sound data set in the place of ``tiktok`` (image and audio)."""
    folder = tmp_path / "tiktok"
    folder.mkdir()
    (folder / "tiktok.inter").write_text("\n".join([HEADER, *rows()]) + "\n")
    for modality in ("image", "audio"):
        np.save(folder / f"{modality}_feat.npy", np.random.default_rng(0).normal(size=(ITEMS, 6)))
    monkeypatch.chdir(tmp_path)
    return folder


def run(*overrides: str) -> int:
    return main(["dataset=tiktok", "data_root=.", "run.dry=true", *overrides])


def rewrite(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        file = folder / "tiktok.inter"
        header, *body = file.read_text().splitlines()
        file.write_text("\n".join([header, *change(body)]) + "\n")

    return damage


def header(text: str) -> Callable[[Path], None]:
    def damage(folder: Path) -> None:
        file = folder / "tiktok.inter"
        file.write_text("\n".join([text, *file.read_text().splitlines()[1:]]) + "\n")

    return damage


def features(value: object) -> Callable[[Path], None]:
    return lambda folder: np.save(folder / "image_feat.npy", np.asarray(value))


def with_value(value: float) -> np.ndarray:
    array = np.zeros((ITEMS, 6))
    array[3, 2] = value
    return array


DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing file": (lambda folder: (folder / "tiktok.inter").unlink(), "tiktok.inter is missing"),
    "missing column": (header("userID\titemID\tlabel"), "x_label"),
    "non-integer id": (rewrite(lambda body: [*body, "1.5\t2\t0"]), "1.5"),
    "text id": (rewrite(lambda body: [*body, "bob\t2\t0"]), "bob"),
    "negative id": (rewrite(lambda body: [*body, "-1\t2\t0"]), "-1"),
    "label out of range": (rewrite(lambda body: [*body, "1\t11\t3"]), "3"),
    "duplicate pair": (rewrite(lambda body: [*body, body[0]]), "more than once"),
    "empty split": (rewrite(lambda body: [row for row in body if row[-1] != "2"]), "test split is empty"),
    "too few feature rows": (features(np.zeros((ITEMS - 1, 6))), "11 rows"),
    "NaN feature": (features(with_value(np.nan)), "NaN"),
    "infinite feature": (features(with_value(np.inf)), "infinite"),
    "text features": (features(np.full((ITEMS, 6), "x")), "real numbers"),
}


def test_the_sound_data_set_plans(shop: Path) -> None:
    assert run() == 0


@pytest.mark.parametrize("case", DAMAGE)
def test_damage_is_one_sentence(case: str, shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    damage, part = DAMAGE[case]
    damage(shop)
    assert run() == 2
    error = capsys.readouterr().err
    assert part in error
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("overrides", "part"),
    [
        (["dataset.modalities=[image,smell]"], "smell"),
        (["backbone.modalities=[text]"], "text"),
        (["regime.ratio=1.2"], "regime.ratio=1.2"),
        (["regime.count=30"], "covers all 30"),
        (["regime.file=list.csv"], "list.csv"),
    ],
)
def test_impossible_requests(
    overrides: list[str], part: str, shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*overrides) == 2
    error = capsys.readouterr().err
    assert part in error
    assert error.count("\n") == 1


def test_editing_the_data_is_noticed_although_it_was_checked_before(
    shop: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run() == 0
    DAMAGE["NaN feature"][0](shop)
    assert run() == 2
    assert "NaN" in capsys.readouterr().err


def test_counts_of_the_wrong_shape_are_taken_anew(shop: Path) -> None:
    """They are kept in the cache, where anybody may edit them."""
    assert run() == 0
    (kept,) = [path for path in (shop.parent / "cache" / "data").glob("*.json") if len(path.stem) == 24]
    sound = kept.read_text()
    for content in ("[]", "null", sound.replace('"num_users": 30', '"num_users": "many"')):
        kept.write_text(content)
        assert run() == 0
        assert kept.read_text() == sound
