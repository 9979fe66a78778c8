"""The page that holds two definitions of distance side by side, on lists and values made up for it."""

from __future__ import annotations

import re
from pathlib import Path

from bench.record.names import FORGET_RECALL, TEST_RECALL
from tests.programs.synthetic_protocol import SAME_SEED, main
from tests.results.store import model_lists, record, store, table_cell

NOISE = {"retrain": 0.3, "tru": 0.3, "reset": 0.9}
FORGET = {"retrain": (0.1, 0.12, 0.08, 0.11, 0.09), "tru": (0.2,) * 5, "reset": (0.1,) * 5}


def test_gold_of_another_seed_has_no_excess_and_every_method_has_an_interval(tmp_path: Path) -> None:
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    for method, noise in NOISE.items():
        for seed in range(5):
            metrics = {TEST_RECALL: 0.3, FORGET_RECALL: FORGET[method][seed], SAME_SEED: 0.9}
            lists = model_lists(0, f"{method} {seed}", noise)
            record(place, table_cell(seed, method), metrics, lists=lists)
    out = tmp_path / "page.md"
    assert main(["--uri", place.uri, "--out", str(out)]) == 0
    lines = {line.split(" | ")[0]: line.split(" | ") for line in _part(out.read_text(), "## Lists")}
    assert set(lines) >= {"| Retrain (gold)", "| TRU", "| reset"}
    assert {line[1] for name, line in lines.items() if "TRU" in name or "reset" in name} == {"0.1000"}
    for name, holds in (("| Retrain (gold)", True), ("| TRU", True), ("| reset", False)):
        value, low, high = map(float, re.findall(r"[+-]?\d\.\d+", lines[name][4]))
        assert low <= value <= high
        assert (low <= 0.0 <= high) is holds
    gaps = {line.split(" | ")[0]: line.split(" | ") for line in _part(out.read_text(), "## Gaps")}
    assert "| Retrain (gold)" not in gaps
    # Gold's mean is .1, its standard deviation .0158; single models of the first three seeds are .0267 apart.
    assert gaps["| TRU"][3].endswith("(3.8)")
    assert gaps["| TRU"][4].removesuffix(" |").endswith("(6.3)")


def _part(text: str, title: str) -> list[str]:
    """The lines of the table below a title."""
    return [line for line in text.split(title)[1].split("\n## ")[0].splitlines() if line.startswith("| ")]


def test_without_gold_of_two_seeds_the_command_is_named(tmp_path: Path) -> None:
    place = store(f"sqlite:///{tmp_path}/mlflow.db")
    record(place, table_cell(0, "retrain"), {TEST_RECALL: 0.3})
    assert main(["--uri", place.uri, "--out", str(tmp_path / "page.md")]) == 1
    assert not (tmp_path / "page.md").exists()
