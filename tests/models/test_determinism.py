"""The same seed gives the same bits, whatever the number of threads, in torch's deterministic mode or not.

Runs at the size of a real data set, because small tensors are never split between threads; in a
process of its own, because thread settings are global.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from tests.products import everything
from tests.registered import TRAINED

EACH = 4
"""Backbones that share a process."""
THREADS = (1, 2, 3, 4) if everything() else (1, 3)
"""Uneven shares of rows already for three; every count in ``make test-all``."""

PROGRAM = """
import hashlib, json, sys
from bench.machine.process import prepare_process
prepare_process(deterministic=True)
import torch
from bench.config.registry import load_class
from bench.config.source import options_of
from datasets.interactions import InteractionData
from datasets.sampling import TripleSampler

torch.manual_seed(0)
USERS, ITEMS, PAIRS = 19_447, 7_051, 60_000  # odd, so that threads get uneven shares; the widths too
pairs = torch.stack([torch.randint(n, (PAIRS,)) for n in (USERS, ITEMS)])
entries = torch.stack([torch.arange(4 * ITEMS) // 4, torch.randint(ITEMS, (4 * ITEMS,))])
graph = torch.sparse_coo_tensor(entries, torch.rand(4 * ITEMS), (ITEMS, ITEMS)).coalesce().to_sparse_csr()
features = {m: torch.randn(ITEMS, d) for m, d in (("image", 70), ("text", 33))}
data = InteractionData(USERS, ITEMS, pairs, pairs[:, :1], pairs[:, :1], torch.empty(0, dtype=torch.long),
                       features, {m: graph for m in features})


def digest(name, threads, deterministic):
    options = options_of("backbone", name)
    overrides = {"neighbours": 1} if "neighbours" in options.__dataclass_fields__ else {}
    torch.use_deterministic_algorithms(deterministic)
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = load_class("backbone", name)(data, options(**overrides))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    sampler = TripleSampler(data.train, data.train, ITEMS, torch.Generator().manual_seed(1))
    for size in (1_501, 1_501, 43, 3):  # the short ones as at the end of an epoch, or in a forget set
        batch = next(sampler.epoch(size))
        optimiser.zero_grad()
        model.loss(batch).total.backward()
        optimiser.step()
    content = hashlib.sha256()
    for tensor in (*model.state_dict().values(), *model.embeddings()):
        content.update(tensor.detach().contiguous().numpy().tobytes())
    return content.hexdigest()


names, threads = json.loads(sys.argv[1]), json.loads(sys.argv[2])
runs = [(n, mode) for mode in (True, False) for n in threads]
print(json.dumps({name: [digest(name, *run) for run in runs] for name in names}))
"""


@pytest.mark.parametrize(
    "names", [TRAINED[start : start + EACH] for start in range(0, len(TRAINED), EACH)], ids=" ".join
)
def test_training_is_bit_equal_on_any_number_of_threads(names: list[str]) -> None:
    # Waiting threads must sleep, not spin: with fewer cores than threads spinning takes minutes.
    # The program prepares its process itself, as the harness does: nothing is inherited.
    environment = {k: v for k, v in os.environ.items() if k not in ("MKL_CBWR", "OMP_WAIT_POLICY")}
    environment["OMP_NUM_THREADS"] = "4"
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PROGRAM, json.dumps(names), json.dumps(THREADS)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    digests = json.loads(run.stdout)
    assert {name: len(found) for name, found in digests.items()} == dict.fromkeys(names, 2 * len(THREADS))
    assert [name for name, found in digests.items() if len(set(found)) > 1] == []
