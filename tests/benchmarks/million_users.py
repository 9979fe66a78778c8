"""LightGCN on a million users x 200,000 items x 20 million interactions, and how its cost grows.

    python -m tests.benchmarks.million_users [--sizes 1/16,1/4,1] [--threads 2]

Every size is a share of ``conf/dataset/synthetic_large.yaml`` in all three numbers and runs in a process of
its own: generate, check, draw and apply a deletion request, build, take a few training steps, rank all items
for a sample of the users. Per stage: seconds, processor seconds of all threads (growth shows in them even on
a busy machine), and the largest resident set of the process so far in GiB.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TypeVar

import torch
import yaml

from bench.measure.evaluate import evaluate_split, evaluating
from bench.planning.request import draw
from bench.train.loop import warm_up
from bench.train.objective import objective_of
from datasets.interactions import InteractionData, to_torch
from datasets.pairs import PairIndex
from datasets.request_options import RequestOptions
from datasets.sampling import TripleSampler
from datasets.synthetic import Synthetic, SyntheticOptions
from datasets.validation import check
from models.descent import step
from models.lightgcn import LightGCN, LightGCNOptions
from models.optimiser import adam
from tests.benchmarks.processes import ALONE, in_own_process
from tests.benchmarks.synthetic_scale import peak_rss

T = TypeVar("T")

Row = tuple[str, float, float, float]
"""A stage, its seconds, its processor seconds, and the peak of memory after it in GiB."""

CONFIG = Path(__file__).resolve().parents[2] / "conf" / "dataset" / "synthetic_large.yaml"
SCALED = ("num_users", "num_items", "num_interactions", "clusters")
BATCH = 2048
CHUNK_SCORES = 40_000_000


class Stages:
    """Runs stages, and keeps what each cost."""

    def __init__(self) -> None:
        self.rows: list[Row] = []

    def run(self, name: str, stage: Callable[[], T]) -> T:
        """The result of ``stage``, which is noted under ``name``."""
        start, start_busy = perf_counter(), process_time()
        result = stage()
        self.rows.append((name, perf_counter() - start, process_time() - start_busy, peak_rss()))
        return result


def options_at(share: Fraction) -> SyntheticOptions:
    """The options of the large data set with its numbers scaled by ``share``."""
    values = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))
    known = SyntheticOptions.__dataclass_fields__
    scaled = {key: int(values[key] * share) for key in SCALED}
    return SyntheticOptions(**{key: value for key, value in values.items() if key in known} | scaled)


def measure(share: Fraction, steps: int, sample: int) -> list[Row]:
    """All stages at one size."""
    stages = Stages()
    raw = stages.run("generate", Synthetic("large", options_at(share), Path()).read)
    stages.run("check", lambda: check(raw, "large"))
    data = stages.run("to tensors", lambda: to_torch(raw, "large"))
    stages.run("request", lambda: draw(RequestOptions("user"), data).apply(data))
    model = stages.run("build the model", lambda: LightGCN(data, LightGCNOptions()))
    train(model, data, steps, stages)
    evaluate(model, data, sample, stages)
    return stages.rows


def train(model: LightGCN, data: InteractionData, steps: int, stages: Stages) -> None:
    """A few steps of the training loop; the row is that of the median step."""
    generator = torch.Generator().manual_seed(0)
    sampler = stages.run("sampler", lambda: TripleSampler(data.train, data.train, data.num_items, generator))
    optimiser = adam(model.parameters(), 1e-3)
    objective = objective_of(model, data.train.device)
    stages.run("warm-up", lambda: warm_up(model, data, BATCH, objective))
    batches = stages.run(
        "triples of one epoch", lambda: list(zip(range(steps), sampler.epoch(BATCH), strict=False))
    )
    model.train()
    taken = Stages()
    for _, batch in batches:
        taken.run("step", partial(step, objective, optimiser, batch))
    seconds, busy = median(row[1] for row in taken.rows), median(row[2] for row in taken.rows)
    stages.rows.append((f"one step of {steps}", seconds, busy, peak_rss()))


def evaluate(model: LightGCN, data: InteractionData, sample: int, stages: Stages) -> None:
    """Full ranking, chunked, for ``sample`` users drawn from those with a test pair."""
    known = stages.run("index of known pairs", lambda: PairIndex(data.train, data.num_users, data.num_items))
    users = data.test[0].unique()
    chosen = torch.zeros(data.num_users, dtype=torch.bool)
    chosen[users[torch.randperm(len(users), generator=torch.Generator().manual_seed(0))[:sample]]] = True
    targets = PairIndex(data.test[:, chosen[data.test[0]]], data.num_users, data.num_items)
    with evaluating(model):
        scorer = stages.run("final embeddings", model.scorer)
        stages.run(f"rank for {sample:,} users", lambda: evaluate_split(scorer, targets, known, CHUNK_SCORES))


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure each size in a process of its own, and print the sizes beside each other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", default="1/16,1/4,1", help="shares of the full size")
    parser.add_argument("--steps", type=int, default=5, help="training steps")
    parser.add_argument("--sample", type=int, default=2000, help="users to rank for")
    parser.add_argument("--threads", type=int, default=2, help="CPU threads")
    parser.add_argument(ALONE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    torch.set_num_threads(options.threads)
    if options.alone:
        print(json.dumps(measure(Fraction(options.sizes), options.steps, options.sample)))
        return
    measured: dict[str, list[Row]] = {}
    for size in options.sizes.split(","):
        given = [f"--sizes={size}", f"--steps={options.steps}", f"--sample={options.sample}"]
        measured[size] = in_own_process("tests.benchmarks.million_users", given, options.threads)
        print(f"size {size}: peak {measured[size][-1][-1]:.2f} GiB", file=sys.stderr)
    print_table(measured, options.threads)


def print_table(measured: dict[str, list[Row]], threads: int) -> None:
    """One row per stage, the sizes beside each other."""
    print(f"LightGCN, batches of {BATCH}, {threads} threads; seconds, processor seconds, peak GiB so far")
    print(f"{'stage':24s}" + "".join(f"{size + ' s':>12s}{'CPU s':>10s}{'GiB':>8s}" for size in measured))
    for rows in zip(*measured.values(), strict=True):
        print(f"{rows[0][0]:24s}" + "".join(f"{row[1]:12.3f}{row[2]:10.3f}{row[3]:8.2f}" for row in rows))


if __name__ == "__main__":
    main()
