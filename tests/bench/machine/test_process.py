"""Bit equality over thread counts: set up by the harness itself, measured, and said by the run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from bench.cell import run
from bench.machine import process
from bench.machine.process import BIT_EQUAL_PRODUCTS
from bench.record.names import THREAD_INVARIANT_TAG
from bench.record.store import Store
from tests.bench.cell.test_pipeline import planned

OWN = {key: value for key, value in os.environ.items() if key not in ("MKL_CBWR", "OMP_WAIT_POLICY")}


def in_a_process(program: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=OWN | environment,
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[3],
    )
    return done.stdout.strip()


SHOWN = (
    "import os, sys; "
    "print(os.environ.get('MKL_CBWR'), os.environ.get('OMP_WAIT_POLICY'), 'torch' in sys.modules)"
)


def test_deterministic_mode_asks_mkl_for_equal_bits_before_torch_is_there() -> None:
    prepared = f"from bench.machine.process import prepare_process; prepare_process(%s); {SHOWN}"
    assert in_a_process(prepared % True) == f"{BIT_EQUAL_PRODUCTS} PASSIVE False"
    assert in_a_process(prepared % False) == "None PASSIVE False"
    assert in_a_process(prepared % True, MKL_CBWR="AVX2,STRICT") == "AVX2,STRICT PASSIVE False"


@pytest.mark.parametrize("flag", ["true", "false"])
@pytest.mark.parametrize("command", ["bench", "bench.tune"])
def test_the_commands_prepare_their_process(command: str, flag: str, tmp_path: Path) -> None:
    module = "bench.cli" if command == "bench" else "bench.tune.__main__"
    overrides = [f"run.deterministic={flag}", "run.dry=true", "dataset=synthetic_tiny", "method=finetune"]
    overrides += [f"cache.dir={tmp_path}/cache", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]
    program = f"from {module} import main; code = main({overrides!r}); assert code == 0, code; {SHOWN}"
    expected = BIT_EQUAL_PRODUCTS if flag == "true" else "None"
    assert in_a_process(program).splitlines()[-1] == f"{expected} PASSIVE False"


def test_products_have_the_same_bits_on_this_machine_or_the_machine_says_so() -> None:
    """What the other tests of determinism rest on: conftest.py prepares this very process."""
    assert process.products_are_thread_invariant()


def test_a_difference_between_threads_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = process._products

    def off_by_one_bit(threads: int) -> list[torch.Tensor]:
        made = plain(threads)
        if threads == 3:
            made[-1].view(-1)[7] = torch.nextafter(made[-1].view(-1)[7], torch.tensor(torch.inf))
        return made

    monkeypatch.setattr(process, "_products", off_by_one_bit)
    assert not process.products_are_thread_invariant.__wrapped__()


@pytest.mark.parametrize("kept", [True, False])
def test_a_deterministic_run_says_what_its_machine_kept(
    kept: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(run, "products_are_thread_invariant", lambda: kept)
    cell = planned(tmp_path, "method=graph_only", "run.deterministic=true", "train.max_epochs=1")
    recorded = Store(cell.config.tracking).client.get_run(run.run_cell(cell))
    assert recorded.data.tags[THREAD_INVARIANT_TAG] == str(kept).lower()
    assert ("for this number of threads only" in caplog.text) is not kept
