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
from bench.machine.process import BIT_EQUAL_PRODUCTS, is_intel, prepare_process
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


EXPECTED = BIT_EQUAL_PRODUCTS if is_intel() else "None"
"""Only Intel's processors need it; on an AMD EPYC it made bits depend on the number of threads."""
SHOWN = (
    "import os, sys; "
    "print(os.environ.get('MKL_CBWR'), os.environ.get('OMP_WAIT_POLICY'), 'torch' in sys.modules)"
)
WATCHED = f"""
import sys
class Watch:
    def find_spec(self, name, *more):
        if name == 'torch':
            {SHOWN}
sys.meta_path.insert(0, Watch())
"""
"""Shows the same when torch is about to be imported."""


def test_deterministic_mode_asks_mkl_for_equal_bits_before_torch_is_there() -> None:
    prepared = f"from bench.machine.process import prepare_process; prepare_process(%s); {SHOWN}"
    assert in_a_process(prepared % True) == f"{EXPECTED} PASSIVE False"
    assert in_a_process(prepared % False) == "None PASSIVE False"
    assert in_a_process(prepared % True, MKL_CBWR="AVX2,STRICT") == "AVX2,STRICT PASSIVE False"


@pytest.mark.parametrize("flag", ["true", "false"])
@pytest.mark.parametrize("command", ["bench", "bench.tune"])
def test_the_commands_prepare_their_process(command: str, flag: str, tmp_path: Path) -> None:
    module = "bench.cli" if command == "bench" else "bench.tune.__main__"
    overrides = [f"run.deterministic={flag}", "run.dry=true", "dataset=synthetic_tiny", "method=finetune"]
    overrides += [f"cache.dir={tmp_path}/cache", f"tracking.uri=sqlite:///{tmp_path}/mlflow.db"]
    program = f"{WATCHED}\nfrom {module} import main; code = main({overrides!r}); assert code == 0, code"
    expected = EXPECTED if flag == "true" else "None"
    assert in_a_process(program).splitlines()[0] == f"{expected} PASSIVE False"


@pytest.mark.parametrize(
    ("maker", "expected"), [("GenuineIntel", BIT_EQUAL_PRODUCTS), ("AuthenticAMD", None)]
)
def test_the_setting_follows_the_processor(
    maker: str, expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MKL_CBWR", raising=False)
    monkeypatch.setattr(process, "vendor", lambda: maker)
    monkeypatch.setattr(process, "processor_name", lambda: "some processor")
    prepare_process(deterministic=True)
    assert os.environ.get("MKL_CBWR") == expected


FEW_ROWS = 16


def test_products_have_the_same_bits_on_this_machine_but_for_few_rows() -> None:
    """What the other tests of determinism rest on: conftest.py prepares this very process.

    Seen on an AMD EPYC: a product of three rows by 1,501 columns differs between numbers of threads.
    """
    for name in process.differing_products():
        assert int(name.partition("x")[0]) < FEW_ROWS, name


def test_a_difference_between_threads_is_found_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, name = process._products, "300x4096 by 4096x64"

    def off_by_one_bit(threads: int) -> dict[str, torch.Tensor]:
        made = plain(threads)
        if threads == 3:
            flat = made[name].view(-1)
            flat[7] = torch.nextafter(flat[7], torch.tensor(torch.inf))
        return made

    monkeypatch.setattr(process, "_products", off_by_one_bit)
    assert name in process.differing_products.__wrapped__()


@pytest.mark.parametrize("differing", [(), ("3x64 by 64x1501",)])
def test_a_deterministic_run_says_what_its_machine_kept(
    differing: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(run, "differing_products", lambda: differing)
    cell = planned(tmp_path, "method=graph_only", "run.deterministic=true", "train.max_epochs=1")
    recorded = Store(cell.config.tracking).client.get_run(run.run_cell(cell))
    expected = "but for 3x64 by 64x1501" if differing else "yes"
    assert recorded.data.tags[THREAD_INVARIANT_TAG] == expected
    assert ("bits depend on the number of threads" in caplog.text) is bool(differing)
