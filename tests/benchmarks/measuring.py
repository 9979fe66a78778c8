"""What measuring one model costs, in units of ranking the catalogue once for one split, in one run.

    python -m tests.benchmarks.measuring [--users 19445 --items 7050 --threads 1]

Times, interleaved: one split (scores, mask, the 50 best, recall and NDCG), the yardstick (every split, list
and distance to gold from one pass), and the same figures with the catalogue ranked anew for each. Prints the
medians of processor seconds and the ratios to the split; wall-clock says little on a busy machine.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

from bench.machine.process import prepare_process

prepare_process(deterministic=False)  # as the commands do, before torch is imported

import torch  # noqa: E402

from bench.measure.evaluate import evaluate_split  # noqa: E402
from bench.measure.yardstick import Measurement  # noqa: E402
from bench.planning.request import draw  # noqa: E402
from datasets.interactions import InteractionData  # noqa: E402
from datasets.pairs import PairIndex  # noqa: E402
from datasets.request_options import RequestOptions  # noqa: E402
from tests.bench.measure.slow import SlowMeasurement  # noqa: E402

CHUNK_SCORES = 40_000_000


class Product(torch.nn.Module):
    """A model as backbones score: products of random tables of width 64."""

    def __init__(self, num_users: int, num_items: int, seed: int) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.users = 0.3 * torch.randn(num_users, 64, generator=generator)
        self.items = 0.3 * torch.randn(num_items, 64, generator=generator)

    def scorer(self) -> Callable[[torch.Tensor], torch.Tensor]:
        items = self.items.t().contiguous()
        return lambda users: self.users[users] @ items


def random_data(num_users: int, num_items: int, seed: int = 0) -> InteractionData:
    """About as many pairs per user as on Baby: one to validate, one to test, six to train, a long tail."""
    generator = torch.Generator().manual_seed(seed)
    activity = torch.rand(num_users, generator=generator).pow(-0.6).mul(2.5).long().clamp(max=100)
    counts = activity + 2
    users = torch.arange(num_users).repeat_interleave(counts)
    items = torch.randint(num_items, users.shape, generator=generator)
    keys = torch.unique(users * num_items + items)
    pairs = torch.stack([keys // num_items, keys % num_items])
    own = torch.bincount(pairs[0], minlength=num_users)
    rank = torch.arange(len(keys)) - (own.cumsum(0) - own).repeat_interleave(own)
    train, valid, test = (pairs[:, rank.clamp(max=2) == place] for place in (2, 0, 1))
    none = torch.empty(0, dtype=torch.long)
    return InteractionData(num_users, num_items, train, valid, test, none)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=19_445)
    parser.add_argument("--items", type=int, default=7_050)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--regime", default="interaction", choices=["user", "item", "interaction"])
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    data = random_data(arguments.users, arguments.items)
    request = draw(RequestOptions(name=arguments.regime, ratio=0.05), data)
    retain = request.apply(data)
    model, gold = (Product(arguments.users, arguments.items, seed) for seed in (0, 1))
    given = data, retain, request, CHUNK_SCORES
    yardstick, slow = Measurement(*given), SlowMeasurement(*given)
    targets, known = (
        PairIndex(pairs, arguments.users, arguments.items) for pairs in (data.test, retain.train)
    )
    ways: dict[str, Callable[[], object]] = {
        "one split": lambda: evaluate_split(model.scorer(), targets, known, CHUNK_SCORES),
        "one pass": lambda: yardstick.apply(model, "full", gold),  # type: ignore[arg-type]
        "ranking anew": lambda: slow.apply(model, "full", gold),  # type: ignore[arg-type]
    }
    seconds = interleaved(ways, arguments.repeats)
    print(f"{arguments.users:,} users x {arguments.items:,} items, {arguments.threads} threads, CPU seconds")
    for name, taken in seconds.items():
        print(f"{name:14}{taken:8.3f} s{taken / seconds['one split']:8.2f} x one split")


def interleaved(ways: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median processor seconds of each way, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            start = time.process_time()
            way()
            times[name].append(time.process_time() - start)
    return {name: statistics.median(taken) for name, taken in times.items()}


if __name__ == "__main__":
    main()
