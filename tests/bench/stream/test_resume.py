"""A stream that ends between two requests goes on from there, with the figures of an undisturbed one."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cell.unlearn import UnlearnStage
from bench.stream.pipeline import StreamPipeline
from bench.stream.run import run_stream
from tests.bench.cell.test_pipeline import planned
from tests.bench.stream.streams import QUICK, SPARING, without_clocks

STREAM = (*QUICK, "stream=users", "stream.count=4", "stream.checkpoints=[0.5,1.0]")
CASES = {
    "finetune": ("backbone=mgcn", "method.epochs=1"),  # a model alone
    "ssd": ("backbone=lightgcn",),  # a model with a state of tensors
    "ultrare": ("backbone=lightgcn", *SPARING["ultrare"]),  # an ensemble beside its shards
    "sisa": ("backbone=bpr", "method.shards=2", "method.slices=2", "method.shard_epochs=2"),  # with slices
}


class Lost(BaseException):
    """Stands for a process that is gone."""


def dies_at(number: int, patch: pytest.MonkeyPatch) -> list[int]:
    """Let serving the request with this index die; the indices of requests that were begun."""
    begun: list[int] = []
    run = UnlearnStage.run

    def mortal(self: UnlearnStage, *arguments: object, **named: object) -> object:
        begun.append(int(arguments[2]))  # type: ignore[call-overload]
        if begun[-1] == number:
            raise Lost
        return run(self, *arguments, **named)  # type: ignore[arg-type]

    patch.setattr(UnlearnStage, "run", mortal)
    return begun


@pytest.mark.parametrize("method", CASES)
def test_an_interrupted_stream_ends_with_the_figures_of_an_undisturbed_one(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = (*STREAM, f"method={method}", *CASES[method])
    expected = StreamPipeline(planned(tmp_path / "undisturbed", *overrides)).run()
    cell = planned(tmp_path, *overrides)
    with monkeypatch.context() as patch:
        dies_at(3, patch)
        with pytest.raises(Lost):
            run_stream(cell)
    kept = list((tmp_path / "cache" / "streams").iterdir())
    assert [path.name for path in kept] == [f"{cell.keys.cell}-3"], "one entry, after three requests"
    with monkeypatch.context() as patch:
        begun = dies_at(99, patch)
        result = StreamPipeline(cell).run()
    assert begun == [3], "it went on where it was interrupted"
    assert result.metrics.keys() == expected.metrics.keys()
    for step, metrics in expected.metrics.items():
        assert without_clocks(result.metrics[step]) == without_clocks(metrics)
    assert [one.number for one in result.served] == [1, 2, 3, 4]
    assert [one.notes for one in result.served] == [one.notes for one in expected.served]


def test_a_finished_stream_leaves_nothing_behind(tmp_path: Path) -> None:
    run_stream(planned(tmp_path, *STREAM, "method=graph_only", "backbone=bpr"))
    assert not list((tmp_path / "cache" / "streams").iterdir())


def test_a_damaged_entry_is_set_aside_and_the_stream_served_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = planned(tmp_path, *STREAM, "method=graph_only", "backbone=bpr")
    with monkeypatch.context() as patch:
        dies_at(3, patch)
        with pytest.raises(Lost):
            run_stream(cell)
    (folder,) = (tmp_path / "cache" / "streams").iterdir()
    (folder / "state.safetensors").write_bytes(b"something else")
    with monkeypatch.context() as patch:
        begun = dies_at(99, patch)
        StreamPipeline(cell).run()
    assert begun == [0, 1, 2, 3]
