"""The worked example of the docs runs as it is printed: raw files, one command, MGCN trained on it."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run

from bench import cli
from bench.record.names import KIND_TAG
from datasets import __main__ as datasets_command
from tests.bench.cells import ROOT
from tests.test_docs import code_blocks

PAGE = ROOT / "docs" / "prepare-data.md"
COMMANDS = {"bench": cli.main, "datasets": datasets_command.main}


def test_the_worked_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for variable in ("LETHE_DATA", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(variable, raising=False)
    (script,) = code_blocks(PAGE, "python")
    exec(compile(script, PAGE.name, "exec"), {})
    lines = code_blocks(PAGE)[0].splitlines()
    assert [line.split()[2] for line in lines] == ["datasets", "datasets", "bench"]
    for line in lines:
        _, _, module, *arguments = shlex.split(line)
        assert COMMANDS[module](arguments) == 0, line
    assert "customer" not in Path("data/shop/shop.inter").read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert "| users | 500 |" in printed
    client = MlflowClient("sqlite:///mlflow.db")
    (run,) = finished_cells(client)
    assert run.data.tags["dataset"] == "shop"
    assert run.data.params["backbone.name"] == "mgcn"
    assert run.data.metrics["request/users"] == 2
    assert run.data.metrics["test/recall_at_20"] > 0.1
    logged = {file.path for file in client.list_artifacts(run.info.run_id, "dataset")}
    assert logged == {"dataset/card.md", "dataset/card.html", "dataset/provenance.json"}


def finished_cells(client: MlflowClient) -> list[Run]:
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, "attributes.status = 'FINISHED'")
    return [run for run in runs if run.data.tags.get(KIND_TAG) == "cell"]
