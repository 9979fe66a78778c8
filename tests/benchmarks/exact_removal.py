"""``python -m tests.benchmarks.exact_removal``: removal from closed forms against fitting them anew.

Prints, by size of the request, the seconds of both on one thread and the largest difference of the weights.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from time import process_time

import torch

from bench.planning.request import draw
from datasets.interactions import to_torch
from datasets.request_options import RequestOptions
from datasets.synthetic import Synthetic, SyntheticOptions
from models.closed_form import ClosedForm
from models.ease import EASE, EASEOptions
from models.itemknn import ItemKNN, ItemKNNOptions


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m tests.benchmarks.exact_removal", description=__doc__)
    parser.add_argument("--users", type=int, default=10_000)
    parser.add_argument("--items", type=int, default=3_000)
    parser.add_argument("--interactions", type=int, default=60_000)
    parser.add_argument(
        "--forget", type=int, nargs="+", default=[1, 10, 50, 200, 500], help="users to forget"
    )
    asked = parser.parse_args()
    torch.set_num_threads(1)
    options = SyntheticOptions(
        num_users=asked.users, num_items=asked.items, num_interactions=asked.interactions
    )
    data = to_torch(Synthetic("synthetic", options, None).read(), "removal")  # type: ignore[arg-type]
    print(f"{asked.users} users, {asked.items} items, {data.train.shape[1]} training pairs; one thread")
    print("| backbone | users forgotten | fit, CPU s | removal, CPU s | ratio | largest difference |")
    print("|---|---|---|---|---|---|")
    for count in asked.forget:
        rest = draw(RequestOptions(name="user", ratio=None, count=count), data).apply(data)
        for model, gold in (
            (EASE(data, EASEOptions()), EASE(rest, EASEOptions())),
            (ItemKNN(data, ItemKNNOptions()), ItemKNN(rest, ItemKNNOptions())),
        ):
            model.fit(data)
            fitting = seconds(partial(gold.fit, rest))
            removing = seconds(partial(model.forget, data, rest))
            name = type(model).__name__.lower()
            print(
                f"| `{name}` | {count} | {fitting:.3f} | {removing:.3f} | {fitting / removing:.1f} | "
                f"{difference(model, gold):.1e} |",
                flush=True,
            )


def seconds(work: Callable[[], object]) -> float:
    """Processor seconds of calling ``work``."""
    began = process_time()
    work()
    return process_time() - began


def difference(model: ClosedForm, gold: ClosedForm) -> float:
    """Largest difference of two models' weights."""
    return float((model.weights() - gold.weights()).abs().max())


if __name__ == "__main__":
    main()
