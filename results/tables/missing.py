"""The fewest sweep commands that fill the missing places of tables."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations

from results.runs.at import REQUEST_PARAM, At
from results.tables.measured import MeasuredTable

Product = dict[str, tuple[str, ...]]
"""Values by key; stands for every combination of them."""

ORDER = ("dataset", "backbone", "regime", "poison", "method")


def missing_cells(tables: Iterable[MeasuredTable]) -> list[dict[str, str]]:
    """The overrides of every cell that a table lacks, each once."""
    found = {
        tuple(sorted({**place.overrides, **_face(at, table.layout.requests)}.items())): None
        for table in tables
        for place in table.places
        if not place.unavailable
        for at in place.lacking
    }
    return [dict(cell) for cell in found]


def _face(at: At, requests: Sequence[int]) -> dict[str, str]:
    """The overrides of a request and seed; the request is said where it is not the default alone."""
    request = {} if tuple(requests) == (0,) else {REQUEST_PARAM: str(at.request)}
    return {**request, "seed": str(at.seed)}


def cover(cells: Sequence[Mapping[str, str]]) -> list[Product]:
    """Products that together stand for exactly these cells, as few as merging key by key finds."""
    by_keys: dict[tuple[str, ...], list[Mapping[str, str]]] = {}
    for cell in cells:
        by_keys.setdefault(tuple(sorted(cell)), []).append(cell)
    return [product for keys in sorted(by_keys) for product in _cover(by_keys[keys])]


def commands(cells: Sequence[Mapping[str, str]], fixed: Sequence[str] = ()) -> list[str]:
    """Command lines that run these cells; ``fixed`` overrides are added to each."""
    return [_command(product, fixed) for product in cover(cells)]


def one_command(cells: Sequence[Mapping[str, str]], fixed: Sequence[str] = ()) -> str:
    """One command line that runs all of these cells as one sweep; several products become its union."""
    products = cover(cells)
    if len(products) == 1:
        return _command(products[0], fixed)
    union = "; ".join(" ".join(_words(product)) for product in products)
    return shlex.join(["python", "-m", "bench", "-m", f'+hydra.sweeper.params.union="{union}"', *fixed])


def _cover(cells: Sequence[Mapping[str, str]]) -> list[Product]:
    keys = [key for key in sorted(cells[0]) if len({cell[key] for cell in cells}) > 1]
    singles: list[Product] = [{key: (value,) for key, value in cell.items()} for cell in cells]
    best = singles
    for order in permutations(keys):
        products = singles
        for key in order:
            products = _merged(products, key)
        if len(products) < len(best):
            best = products
    return best


def _merged(products: Sequence[Product], key: str) -> list[Product]:
    """Products that differ in one key only, made one."""
    groups: dict[tuple[tuple[str, tuple[str, ...]], ...], list[str]] = {}
    for product in products:
        rest = tuple(sorted((other, values) for other, values in product.items() if other != key))
        groups.setdefault(rest, []).extend(product[key])
    return [{**dict(rest), key: tuple(dict.fromkeys(values))} for rest, values in groups.items()]


def _command(product: Product, fixed: Sequence[str]) -> str:
    sweeps = any(len(values) > 1 for values in product.values())
    words = ["python", "-m", "bench", *(["-m"] if sweeps else [])]
    return shlex.join([*words, *_words(product), *fixed])


def _words(product: Product) -> list[str]:
    """The overrides of a product, those that say what is run first, the seed last."""
    keys = [key for key in ORDER if key in product]
    keys += sorted(key for key in product if key not in (*ORDER, "seed"))
    keys += ["seed"] if "seed" in product else []
    return [f"{key}={','.join(product[key])}" for key in keys]
