"""Which cells count as finished: what was retired does not, whichever way the store is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.config.schema import TrackingConfig
from bench.record.finished import Record, recorded
from bench.record.names import CELL_KEY_TAG, KIND_TAG, RETIRED_TAG
from bench.record.store import Store, ended_runs


@pytest.fixture
def tracking(tmp_path: Path) -> TrackingConfig:
    return TrackingConfig(uri=f"sqlite:///{tmp_path}/mlflow.db")


def ended(place: Store, key: str, fail: bool = False) -> str:
    run = place.start("cell", {KIND_TAG: "cell", CELL_KEY_TAG: key})
    if fail:
        place.fail(run, RuntimeError("no"))
    else:
        place.finish(run)
    return run


def test_a_retired_run_makes_its_cell_due_again(tracking: TrackingConfig) -> None:
    place = Store(tracking)
    first, only, failed = ended(place, "twice"), ended(place, "once"), ended(place, "failed", fail=True)
    second, kept = ended(place, "twice"), ended(place, "kept")
    for run in (second, only, failed):
        place.client.set_tag(run, RETIRED_TAG, "wrong data")
    found = recorded(tracking)
    assert found == Record(finished={"twice": first, "kept": kept}, failed={})
    assert Record.of(ended_runs(tracking, None)) == found
    assert recorded(tracking, "once").finished == {}
    assert recorded(tracking, "kept").finished == {"kept": kept}
