"""What the run of a cell says about itself before anything is measured."""

from __future__ import annotations

from bench.cell.run import _tags
from bench.config.compose import expand
from bench.planning.code import code_of
from bench.planning.planner import Planner
from bench.record.names import CELL_KEY_TAG, CODE_TAG, DATA_KEY_TAG, GOLD_KEY_TAG, REQUEST_KEY_TAG


def test_a_run_names_its_keys_and_the_code_of_every_part() -> None:
    (config,) = expand(["dataset=synthetic_tiny", "method=reset", "audit=standard", "repair=short"], False)
    cell = Planner().plan(config)
    tags = _tags(cell)
    keys = cell.keys
    assert [tags[name] for name in (CELL_KEY_TAG, DATA_KEY_TAG, REQUEST_KEY_TAG, GOLD_KEY_TAG)] == [
        keys.cell,
        keys.data,
        keys.request,
        keys.gold,
    ]
    found = {name.removeprefix(CODE_TAG): text for name, text in tags.items() if name.startswith(CODE_TAG)}
    assert found == code_of(config)
    assert {"method", "backbone", "train", "unlearn", "measure", "repair"} <= set(found)
