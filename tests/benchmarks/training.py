"""Seconds per epoch and peak memory of every backbone at the size of a real data set.

    python -m tests.benchmarks.training [--size baby] [--backbones mgcn,lightgcn] [--device cpu] [--threads 4]
    python -m tests.benchmarks.training --profile mgcn

Each backbone trains for some steps on synthetic interactions with 4096-d image and 384-d text features, in a
process of its own. Seconds per epoch are extrapolated from what an epoch starts with (drawing the triples,
graphs that are pruned or learned anew, the first step) and the median of the other steps. ``mgcn`` at the
size of Baby stands beside the 65 s per epoch of MMRec's implementation on a 4-core CPU.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from bench.cache.item_graphs import ItemGraphCache
from bench.cell.workshop import fresh_model
from bench.config.schema import Choice
from bench.config.source import options_of
from bench.machine.devices import resolve, synchronise
from bench.train.loop import warm_up
from bench.train.objective import compiler_errors, matmul_precision, objective_of
from bench.train.options import TrainConfig
from datasets.interactions import InteractionData, to_torch
from datasets.sampling import TripleSampler
from datasets.synthetic import ModalityOptions, Synthetic, SyntheticOptions
from models.descent import step
from models.optimiser import adam
from tests.benchmarks.processes import ALONE, in_own_process
from tests.benchmarks.synthetic_scale import GIB, peak_rss
from tests.registered import TRAINED

MMREC_SECONDS = 65.0
"""MMRec's own MGCN: one epoch at the size of Baby, measured for this project."""

SIZES = {
    "baby": (19_445, 7_050, 118_551),
    "sports": (35_598, 18_357, 218_409),
    "clothing": (39_387, 23_033, 197_338),
}
"""Users, items and training pairs of the published splits."""

Times = tuple[float, float]

WIDTHS = {"image": 4096, "text": 384}


@dataclass(frozen=True)
class Cost:
    """Seconds, and GiB at their peak (``gpu`` is 0 without one).

    ``processor`` is the processor time of an epoch, all threads together: with one thread about the
    wall-clock of an idle machine, however busy this one is. ``item_graphs`` is paid once per data set.
    """

    epoch: float
    processor: float
    step: float
    start: float
    warm_up: float
    item_graphs: float
    rss: float
    gpu: float


class Job:
    """A backbone, warmed up, with everything that its training loop needs."""

    def __init__(self, options: argparse.Namespace, backbone: str) -> None:
        self.device = resolve(options.device)
        self.batch_size = options.batch_size
        self.precision = options.matmul_precision
        choice = Choice(backbone, options_of("backbone", backbone)())
        data = synthetic(options.users, options.items, options.pairs).to(self.device)
        with tempfile.TemporaryDirectory() as folder:
            graphs = ItemGraphCache(Path(folder), choice, "synthetic")
            data = graphs.attach(data)
        self.item_graph_seconds = graphs.seconds(data)
        self.model = fresh_model(choice, data, seed=0)
        generator = torch.Generator(device=self.device).manual_seed(0)
        self.sampler = TripleSampler(data.train, data.train, data.num_items, generator)
        self.optimiser = adam(self.model.parameters(), TrainConfig().learning_rate)
        self.objective = objective_of(self.model, self.device, options.compile)
        with matmul_precision(self.precision), compiler_errors():
            self.warm_up_seconds = warm_up(self.model, data, self.batch_size, self.objective)

    def steps(self) -> Iterator[Tensor]:
        """The steps of epoch after epoch; what an epoch starts with happens before its first."""
        self.model.train()
        while True:
            self.model.start_epoch()
            for batch in self.sampler.epoch(self.batch_size):
                yield step(self.objective, self.optimiser, batch)


def synthetic(users: int, items: int, pairs: int) -> InteractionData:
    """Generated training pairs and content as wide as the raw one; no other split."""
    modalities = {m: ModalityOptions(dim=width) for m, width in WIDTHS.items()}
    options = SyntheticOptions(
        num_users=users, num_items=items, num_interactions=pairs, modalities=modalities
    )
    data = to_torch(Synthetic("training", options, Path()).read(), "training")
    return replace(data, train=torch.cat([data.train, data.valid, data.test], dim=1))


def measure(options: argparse.Namespace, backbone: str) -> Cost:
    """Train for one step to settle and then for ``options.steps`` steps of two epochs."""
    job = Job(options, backbone)
    steps = job.sampler.num_batches(job.batch_size)
    per_epoch = min(steps, max(2, options.steps // 2))
    with matmul_precision(job.precision):
        next(job.steps())
        epochs = [timed(job, per_epoch) for _ in range(2)]
    start, step = typical(epochs, clock=0)
    start_busy, step_busy = typical(epochs, clock=1)
    gpu = torch.cuda.max_memory_allocated(job.device) / GIB if job.device.type == "cuda" else 0.0
    return Cost(
        epoch=start + (steps - 1) * step,
        processor=start_busy + (steps - 1) * step_busy,
        step=step,
        start=start,
        warm_up=job.warm_up_seconds,
        item_graphs=job.item_graph_seconds,
        rss=peak_rss(),
        gpu=gpu,
    )


def typical(epochs: Sequence[Sequence[Times]], clock: int) -> tuple[float, float]:
    """Medians of the first steps and of the others."""
    return median(e[0][clock] for e in epochs), median(times[clock] for e in epochs for times in e[1:])


def timed(job: Job, count: int) -> list[Times]:
    """Seconds of the first ``count`` steps of an epoch, by the clock on the wall and by the processor's."""
    iterator, times = job.steps(), []
    for _ in range(count):
        synchronise(job.device)
        start, start_busy = perf_counter(), process_time()
        next(iterator)
        synchronise(job.device)
        times.append((perf_counter() - start, process_time() - start_busy))
    return times


def profiled(options: argparse.Namespace) -> str:
    """The table of torch's profiler over some steps of ``options.profile``, dearest first."""
    job = Job(options, options.profile)
    on_gpu = job.device.type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with matmul_precision(job.precision):
        iterator = job.steps()
        next(iterator)
        with profile(activities=activities) as found:
            for _ in islice(iterator, options.steps):
                pass
            synchronise(job.device)
    order = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
    table: str = found.key_averages().table(sort_by=order, row_limit=25, max_name_column_width=45)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print."""
    options = parsed(arguments)
    torch.set_num_threads(options.threads)
    if options.profile:
        print(profiled(options))
        return
    if options.alone:
        print(json.dumps(asdict(measure(options, options.backbones))))
        return
    print(
        f"{options.users:,} users x {options.items:,} items, {options.pairs:,} pairs, batches of "
        f"{options.batch_size}, {options.device}, {options.threads} threads, {options.steps} steps"
    )
    columns = ("epoch s", "CPU s", "step ms", "start ms", "warm-up s", "graphs s", "RSS GiB", "GPU GiB")
    print(f"{'backbone':12s}" + "".join(f"{column:>11s}" for column in columns))
    for backbone in options.backbones.split(","):
        print_row(options, backbone)


def print_row(options: argparse.Namespace, backbone: str) -> None:
    """One backbone, measured in a process of its own."""
    names = ("device", "users", "items", "pairs", "steps", "batch_size", "matmul_precision")
    given = [f"--{name.replace('_', '-')}={getattr(options, name)}" for name in names]
    given += [f"--backbones={backbone}", *(["--compile"] if options.compile else [])]
    cost = Cost(**in_own_process("tests.benchmarks.training", given, options.threads))
    values = (
        cost.epoch,
        cost.processor,
        1e3 * cost.step,
        1e3 * cost.start,
        cost.warm_up,
        cost.item_graphs,
        cost.rss,
        cost.gpu,
    )
    row = f"{backbone:12s}" + "".join(f"{value:11.2f}" for value in values)
    if backbone == "mgcn" and (options.users, options.items, options.pairs) == SIZES["baby"]:
        row += f"   {MMREC_SECONDS / cost.epoch:.1f}x faster than MMRec's {MMREC_SECONDS:.0f} s"
    print(row, flush=True)


def parsed(arguments: Sequence[str] | None) -> argparse.Namespace:
    """The command line, with the numbers of the chosen size filled in."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="baby", help="preset of the three numbers below")
    for name in ("users", "items", "pairs"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--backbones", default=",".join(TRAINED), help="default: all")
    parser.add_argument("--device", default="cpu", help="cpu, cuda, cuda:<n>, mps or auto")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="CPU threads")
    parser.add_argument("--steps", type=int, default=20, help="timed training steps, over two epochs")
    parser.add_argument("--batch-size", type=int, default=2048)
    parser.add_argument("--matmul-precision", default="highest", choices=("highest", "high", "medium"))
    parser.add_argument("--compile", action="store_true", help="as train.compile=true")
    parser.add_argument(
        "--profile", metavar="BACKBONE", help="print the profiler's table of this one instead"
    )
    parser.add_argument(ALONE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    for name, value in zip(("users", "items", "pairs"), SIZES[options.size], strict=True):
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


if __name__ == "__main__":
    main()
