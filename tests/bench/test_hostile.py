"""Hostile inputs through the command line: one sentence, exit code 2, nothing started, no traceback."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cli import main
from tests.fuzzing import write_shop
from tests.hostile import INPUTS, Input, arguments, prepare


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    prepare(tmp_path)
    write_shop(tmp_path / "shop")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path / "shop"


def test_the_sound_data_set_plans(shop: Path) -> None:
    plain = ["backbone=lightgcn", "method=reset"]  # the shop has a graph of texts without the texts
    assert main(["dataset=folder", "dataset.path=shop", "run.dry=true", *plain]) == 0


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("given", INPUTS, ids=lambda given: given.what)
def test_one_sentence(given: Input, shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given.damage(shop)
    assert main(arguments(given)) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1, error
    assert given.says in error
    assert not (shop.parent / "cache" / "models").exists()
    assert not (shop.parent / "mlflow.db").exists()
