"""The data card: its figures are those of the data, on every kind of data set."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from datasets.__main__ import main
from datasets.card.content import card_of
from datasets.card.render import FILES, markdown, page, write_card
from datasets.interactions import RawDataset
from datasets.item_text import NOTHING, ItemText
from datasets.synthetic import Synthetic, SyntheticOptions
from tests.datasets.prepare.raw import content, prepare, write_shop

RAW = RawDataset(
    num_users=4,
    num_items=5,
    train=np.array([[0, 0, 1, 1, 1, 2], [0, 1, 0, 1, 2, 0]]),
    valid=np.array([[0], [2]]),
    test=np.array([[1, 3, 3], [4, 0, 4]]),
    features={"image": np.array([[1, 0], [0, 0], [0, 2], [1, 1], [0, 0]])},
    item_text=(ItemText("a", price=0.0), NOTHING, ItemText("b", categories=("x", "y")), NOTHING, NOTHING),
)


def rows(text: str) -> dict[str, str]:
    """The two-column tables of a Markdown card."""
    return dict(re.findall(r"^\| ([^|]+?) \| (.*) \|$", text, re.MULTILINE))


def test_the_figures_are_those_of_the_data() -> None:
    found = rows(markdown(card_of("tiny", RAW, None)))
    assert (found["users"], found["items"]) == ("4", "5")
    assert found["pairs"] == "10"
    assert found["to test"] == "3 (30.0 %)"
    assert found["sparsity"] == "50.0000 %"
    assert found["per user"] == "mean 1.5, quartiles 1 / 2 / 2, most 3"
    assert found["users without a training pair"] == "1 (25.0 %)"
    assert found["items without a training pair"] == "2 (40.0 %)"
    assert found["test pairs of such users"] == "2 (66.7 %)"
    assert found["test pairs of such items"] == "2 (66.7 %)"
    assert found["image features"] == "2 columns, 3 (60.0 %) items with content"
    assert found["title"] == "2 (40.0 %)"
    assert found["price"] == "1 (20.0 %)"
    assert found["top categories"] == "1"


def test_the_page_says_the_same_and_stands_alone(tmp_path: Path) -> None:
    card = card_of("<tiny>", RAW, None)
    write_card(card, tmp_path)
    text = (tmp_path / "card.html").read_text(encoding="utf-8")
    for key, value in rows(markdown(card)).items():
        assert f"<td>{key}</td><td>{value}</td>" in text
    assert "<h1>&lt;tiny&gt;</h1>" in text
    assert not re.search(r'(src|href)="(?!#|http://www\.w3\.org)', text)
    assert text.count("<svg") == 1


def test_the_plot_is_a_picture_and_repeats_itself(tmp_path: Path) -> None:
    raw = Synthetic("synthetic", SyntheticOptions(), Path()).read()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_card(card_of("synthetic", raw, None), tmp_path / folder)
    for name in FILES:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    plot = (tmp_path / "a" / "degrees.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(plot).tag.endswith("svg")
    assert "training pairs" in plot
    assert plot[plot.index("<svg") :] in page(card_of("synthetic", raw, None), plot)


def test_card_of_configured_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["card", "synthetic_tiny"]) == 0
    found = rows(capsys.readouterr().out)
    assert (found["users"], found["pairs"]) == ("200", "3,000")
    assert found["title"] == "120 (100.0 %)"
    assert main(["card", "synthetic_tiny", "--out", str(tmp_path / "card")]) == 0
    assert {path.name for path in (tmp_path / "card").iterdir()} == set(FILES)


def test_card_of_a_prepared_folder_tells_its_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop = write_shop(tmp_path)
    assert prepare(shop, *content(shop)) == 0
    folder = shop / "out" / "shop"
    capsys.readouterr()
    for arguments in ([str(folder)], ["shop", "--data-root", str(shop / "out")]):
        assert main(["card", *arguments]) == 0
        assert capsys.readouterr().out == (folder / "card.md").read_text(encoding="utf-8")
    found = rows((folder / "card.md").read_text(encoding="utf-8"))
    assert found["rows: duplicate rows"] == "0"
    assert found["core: users"] == "60"
    assert found["orders.csv"].startswith(f"{(shop / 'orders.csv').stat().st_size:,} bytes, SHA-256 ")
    assert "label colour and texture histograms: no model" in found["image"]
    assert found["image features"] == "758 columns, 39 (97.5 %) items with content"


def test_a_name_that_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["card", "nowhere", "--data-root", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "nowhere is neither a folder, nor a folder below" in error
    assert "synthetic_tiny" in error
