"""Bundles: what is exported arrives whole, once, and only what is finished."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from bench.record.names import OWNER_TAG, TEST_RECALL
from datasets.errors import InputError
from results.__main__ import main as command
from results.runs.bundle import ORIGIN_TAG, Imported, export, import_
from results.runs.frame import CellRun, client_of, latest, per_user, runs
from tests.results.store import record, store, table_cell


@pytest.fixture
def uri(tmp_path: Path) -> str:
    place = store(f"sqlite:///{tmp_path}/from/mlflow.db")
    record(place, table_cell(0, "tru"), {TEST_RECALL: 0.1}, key="k0")
    record(place, table_cell(0, "tru"), {TEST_RECALL: 0.2}, key="k0")
    record(place, table_cell(1, "tru"), {TEST_RECALL: 0.3}, key="k1")
    record(place, table_cell(2, "tru"), {TEST_RECALL: 0.4}, key="k2", fail="no")
    return place.uri


def content(run: CellRun) -> tuple[object, ...]:
    tags = {
        key: value for key, value in run.tags.items() if key not in (OWNER_TAG, ORIGIN_TAG, "lethe.heartbeat")
    }
    return run.cell_key, run.status, run.labels, run.params, run.metrics, tags, run.ended


def test_round_trip(uri: str, tmp_path: Path) -> None:
    file, target = tmp_path / "runs.zip", f"sqlite:///{tmp_path}/to/mlflow.db"
    assert export(uri, "lethe", file) == 2
    assert import_(target, "lethe", file) == Imported(2, 0)
    before, after = latest(runs(uri, "lethe")), latest(runs(target, "lethe"))
    assert [content(run) for run in after] == [content(run) for run in before]
    for old, new in zip(before, after, strict=True):
        assert new.tags[ORIGIN_TAG] == old.run_id
        arrays = [per_user(store, run.run_id) for store, run in ((uri, old), (target, new))]
        assert arrays[0].keys() == arrays[1].keys()
        assert all(np.array_equal(arrays[0][name], arrays[1][name]) for name in arrays[0])
        clients = [(client_of(uri), old.run_id), (client_of(target), new.run_id)]
        histories = [
            [(point.step, point.value, point.timestamp) for point in c.get_metric_history(run, "curve/loss")]
            for c, run in clients
        ]
        assert histories[0] == histories[1]
        assert len(histories[0]) == 2
        inputs = [c.get_run(run).inputs.dataset_inputs[0].dataset for c, run in clients]
        assert inputs[0].to_dictionary() == inputs[1].to_dictionary()


def test_importing_again_adds_nothing(uri: str, tmp_path: Path) -> None:
    file = tmp_path / "runs.zip"
    export(uri, "lethe", file)
    assert import_(uri, "lethe", file) == Imported(0, 2)
    target = f"sqlite:///{tmp_path}/to/mlflow.db"
    import_(target, "lethe", file)
    assert import_(target, "lethe", file) == Imported(0, 2)
    assert len(runs(target, "lethe")) == 2


def test_an_import_that_was_cut_off_is_done_again(
    uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, target = tmp_path / "runs.zip", f"sqlite:///{tmp_path}/to/mlflow.db"
    export(uri, "lethe", file)

    def cut_off(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("results.runs.bundle._import_metrics", cut_off)
    with pytest.raises(KeyboardInterrupt):
        import_(target, "lethe", file)
    monkeypatch.undo()
    assert import_(target, "lethe", file) == Imported(2, 0)
    assert [run.status for run in runs(target, "lethe")] == ["FINISHED", "FINISHED"]


@pytest.mark.parametrize("kind", ["absent", "text", "version"])
def test_what_is_no_bundle_is_refused(kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "runs.zip"
    if kind == "text":
        file.write_text("no")
    elif kind == "version":
        with zipfile.ZipFile(file, "w") as bundle:
            bundle.writestr("bundle.json", '{"version": 99}')
    assert command(["bundle", "import", str(file), "--uri", f"sqlite:///{tmp_path}/m.db"]) == 2
    assert f"bundle={file}" in capsys.readouterr().err


def test_nothing_to_export_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["bundle", "export", f"{tmp_path}/r.zip", "--uri", f"sqlite:///{tmp_path}/m.db"]) == 2
    assert "no finished cell" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_folder_of_artifacts_that_moved_is_noticed(uri: str, tmp_path: Path) -> None:
    (tmp_path / "from" / "mlartifacts").rename(tmp_path / "from" / "elsewhere")
    file = tmp_path / "runs.zip"
    with pytest.raises(InputError, match=r"has no per_user\.safetensors at .*mlartifacts"):
        export(uri, "lethe", file)
    assert not file.exists()


def test_a_bundle_writes_nothing_outside_and_is_refused_where_it_is_malformed(
    uri: str, tmp_path: Path
) -> None:
    file, target = tmp_path / "runs.zip", f"sqlite:///{tmp_path}/to/mlflow.db"
    export(uri, "lethe", file)
    with zipfile.ZipFile(file) as sound:
        parts = {name: sound.read(name) for name in sound.namelist()}
    (run, *_) = (name for name in parts if name.startswith("runs/"))
    run_id = Path(run).stem
    damages: dict[str, bytes] = {
        f"artifacts/{run_id}/../../../outside": b"x",
        run: b'{"tags": []}',
        "bundle.json": b"[" * 100_000,
    }
    for name, content in damages.items():
        with zipfile.ZipFile(file, "w") as damaged:
            for own, value in {**parts, name: content}.items():
                damaged.writestr(own, value)
        with pytest.raises(InputError, match="export it again"):
            import_(target, "lethe", file)
    assert runs(target, "lethe") == []
    assert not list(tmp_path.rglob("outside"))


def test_an_import_says_whose_keys_its_runs_claim(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "runs.zip"
    export(uri, "lethe", file)
    assert command(["bundle", "import", str(file), "--uri", f"sqlite:///{tmp_path}/to/mlflow.db"]) == 0
    assert f"each of these runs says so in its tag {ORIGIN_TAG}" in capsys.readouterr().out
