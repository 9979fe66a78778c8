"""Full-ranking evaluation at Baby size: ours against a per-user loop, in one process.

    python -m tests.benchmarks.full_ranking [--users 19445 --items 7050 --threads 4]

Prints seconds (median) and the ratio. The loop is the reading of the definitions that the tests use.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch

from bench.measure.evaluate import evaluate_split
from datasets.pairs import PairIndex

LOOP_USERS = 200


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=19_445)
    parser.add_argument("--items", type=int, default=7_050)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    users, items = arguments.users, arguments.items
    generator = torch.Generator().manual_seed(0)
    user_table = torch.randn(users, 64, generator=generator)
    item_table = torch.randn(items, 64, generator=generator)
    history = torch.randint(items, (6 * users,), generator=generator)
    known = torch.stack([torch.arange(users).repeat(6), history])
    targets = torch.stack([torch.arange(users), torch.randint(items, (users,), generator=generator)])
    known_index, target_index = PairIndex(known, users, items), PairIndex(targets, users, items)
    transposed = item_table.t().contiguous()
    known_by_user = {user: known[1][known[0] == user] for user in range(LOOP_USERS)}
    targets_by_user = {user: set(targets[1][targets[0] == user].tolist()) for user in range(LOOP_USERS)}

    def ours() -> None:
        evaluate_split(lambda ids: user_table[ids] @ transposed, target_index, known_index, 40_000_000)

    def loop() -> None:
        for user in range(LOOP_USERS):
            scores = item_table @ user_table[user]
            scores[known_by_user[user]] = -torch.inf
            targets_by_user[user].intersection(scores.topk(50).indices.tolist())

    vectorised = median_seconds(ours)
    looped = median_seconds(loop) * users / LOOP_USERS
    print(f"{users} users x {items} items, recall and ndcg at 10, 20, 50, {arguments.threads} threads")
    print(f"vectorised        {vectorised:.3f} s")
    print(f"loop over users   {looped:.3f} s (extrapolated from {LOOP_USERS} users)")
    print(f"ratio             {looped / vectorised:.1f}x")


def median_seconds(run: Callable[[], None], repeats: int = 5) -> float:
    """Median wall-clock of ``repeats`` runs after one warm-up."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


if __name__ == "__main__":
    main()
