"""Which rows and columns each table has, and by which overrides every place in it is filled.

The tables of TRU (arXiv:2604.02183 v1) with gold added where the paper leaves it out, our retain recall
beside what the paper calls RETAIN, and the reference rows of the backbones. ``Scope`` changes data sets,
backbones, seeds and requests; ``small`` is the version on the synthetic set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from itertools import product

from datasets.errors import InputError
from results.names.headlines import (
    BACKDOOR,
    CLEAN,
    CLEAN_RECALL,
    FORGET,
    FORGET_NDCG,
    MEMBERSHIP,
    RETAIN,
    TEST,
    TEST_NDCG,
    Quantity,
)
from results.names.titles import TITLES
from results.runs.at import At
from unlearning import REFERENCE_METHODS

AUDIT = "standard"
"""Clean cells run with it, so that one cell serves every table."""
REGIMES = ("user", "item", "interaction")
ABLATIONS = {
    "tru": {},
    "tru_without_gate": {"method.gate": "false"},
    "tru_without_scaling": {"method.scaling": "false"},
    "tru_without_isolation": {"method.isolation": "false"},
}


@dataclass(frozen=True)
class Entry:
    """A row: ``labels`` as in the published tables, ``overrides`` by key that run it."""

    labels: Mapping[str, str]
    overrides: Mapping[str, str]

    @property
    def method(self) -> str:
        """The method, with its ablation."""
        return self.labels["method"]

    @property
    def block(self) -> tuple[str, ...]:
        """The rows among which best and second are marked: everything but the method is equal."""
        return tuple(value for key, value in sorted(self.labels.items()) if key != "method")


@dataclass(frozen=True)
class Layout:
    """A table before anything is measured.

    Attributes:
        shown: labels that are printed as leading columns.
        references: methods that are never marked as best.
        ranked: whether best and second are marked.
        overrides: of every cell of the table, e.g. ``tuned=true``.
    """

    name: str
    title: str
    shown: tuple[str, ...]
    entries: tuple[Entry, ...]
    quantities: tuple[Quantity, ...]
    remarks: tuple[str, ...] = ()
    references: tuple[str, ...] = REFERENCE_METHODS
    ranked: bool = True
    seeds: tuple[int, ...] = (0, 1, 2)
    requests: tuple[int, ...] = (0,)
    overrides: Mapping[str, str] = field(default_factory=dict)
    published: bool = True

    @property
    def ats(self) -> tuple[At, ...]:
        """The requests and training seeds that every place asks for."""
        return tuple(At(request, seed) for request in self.requests for seed in self.seeds)

    def overrides_of(self, entry: Entry, quantity: Quantity) -> dict[str, str]:
        """The overrides that run the cells of one place, without the seed."""
        return {"audit": AUDIT, **entry.overrides, **quantity.overrides, **self.overrides}


@dataclass(frozen=True)
class Scope:
    """What a table is made for; None keeps the table's own choice.

    ``overrides`` are added to every cell, ``options`` to those of a method,
    ``poison`` to the poisoned ones, ``drawn`` to those of a regime that draws a share of the data.
    """

    datasets: tuple[str, ...] | None = None
    backbones: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    requests: tuple[int, ...] | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    poison: Mapping[str, str] = field(default_factory=dict)
    drawn: Mapping[str, str] = field(default_factory=dict)

    def cases(self, own: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
        """Pairs of backbone and data set: the table's own, or what replaces their parts."""
        backbones = self.backbones or tuple(dict.fromkeys(backbone for backbone, _ in own))
        if self.datasets is not None:
            return list(product(backbones, self.datasets))
        return [case for case in own if case[0] in backbones] or [
            (backbone, dataset) for backbone in backbones for dataset in dict.fromkeys(d for _, d in own)
        ]


DRAWN = ("user", "item", "interaction")
"""Regimes that draw a share of users, items or pairs."""

SMALL = Scope(
    datasets=("synthetic_tiny",),
    seeds=(0,),
    options={"ultrare": {"method.shards": "3"}},
    poison={"poison.ratio": "0.1", "poison.held_out": "40", "regime.ratio": "null"},
    drawn={"regime.ratio": "0.15"},
)
"""The synthetic set at test size, one seed: conf/experiment/tru_tables_small.yaml fills it.

With ten shards, or as many injected users as real ones, UltraRE would get a shard without validation
pairs; 1 % of so few users is no attack; and 5 % of the items are too few for the membership attack.
"""

TEST_REMARK = (
    "test recall and NDCG are over the users who stay, the higher the better; the paper's RETAIN is of their "
    "size and is held against them."
)
FORGET_REMARK = "forget and retain: closest to Retrain's value is best (the paper: the lower the better)."


def _table_1(scope: Scope) -> Layout:
    cases = scope.cases(tuple(product(("mgcn", "mig_gt"), ("baby", "clothing", "sports"))))
    methods = ("original", "retrain", "mmrecun", "tru")
    return Layout(
        "tru-table-1",
        "Original, gold, MMRecUn and TRU in three regimes (TRU, Table 1; the gold rows are added)",
        ("backbone", "dataset", "regime", "method"),
        tuple(
            _entry(backbone, dataset, regime, method)
            for (backbone, dataset), regime, method in product(cases, REGIMES, methods)
        ),
        (TEST, FORGET, RETAIN, TEST_NDCG, FORGET_NDCG),
        (TEST_REMARK, FORGET_REMARK),
    )


CASES = (("mig_gt", "sports"), ("mgcn", "clothing"))
PAPER_METHODS = ("original", "retrain", "ultrare", "multidelete", "scalegun", "mmrecun", "tru")


def _table_2(scope: Scope) -> Layout:
    return Layout(
        "tru-table-2",
        "All methods, users forgotten (TRU, Table 2)",
        ("backbone", "dataset", "method"),
        tuple(_entry(*case, "user", method) for case, method in product(scope.cases(CASES), PAPER_METHODS)),
        (TEST, FORGET, RETAIN),
        (TEST_REMARK, FORGET_REMARK),
    )


def _table_3(scope: Scope) -> Layout:
    return Layout(
        "tru-table-3",
        "Security audit, users forgotten (TRU, Table 3; the rows of Original are added)",
        ("backbone", "dataset", "method"),
        tuple(_entry(*case, "user", method) for case, method in product(scope.cases(CASES), PAPER_METHODS)),
        (MEMBERSHIP, BACKDOOR),
        (
            "membership inference: balanced accuracy of our attack; closest to Retrain's is best (the "
            "paper's target is .5, chance).",
            "backdoor: attack success rate after the poisoned users are forgotten, a cell of its own "
            "(poison=backdoor regime=poison); the lower the better. Attack and attacker are ours: the paper "
            "states neither.",
        ),
    )


def _table_4(scope: Scope) -> Layout:
    cases = scope.cases((("mgcn", "baby"), ("mig_gt", "baby")))
    methods = (*REFERENCE_METHODS, *ABLATIONS)
    return Layout(
        "tru-table-4",
        "Ablation of TRU, users forgotten (TRU, Table 4; the rows of Original and gold are added)",
        ("backbone", "dataset", "method"),
        tuple(_entry(*case, "user", method) for case, method in product(cases, methods)),
        (FORGET, TEST, BACKDOOR, CLEAN, CLEAN_RECALL),
        (
            FORGET_REMARK,
            "clean after: share of the clean users with the target in their top 20 after the poisoned users "
            "are forgotten (a cell of its own, poison=backdoor regime=poison). The paper does not define its "
            "own, so the difference to it says little; clean recall is test recall in that cell.",
        ),
    )


def _backbone_reference(scope: Scope) -> Layout:
    backbones = scope.backbones or (
        *("bpr", "lightgcn", "vbpr", "mmgcn", "dualgnn", "lattice", "bm3"),
        *("slmrec", "freedom", "mgcn", "lgmrec", "mig_gt"),
    )
    datasets = scope.datasets or ("baby", "sports", "clothing")
    return Layout(
        "backbone-reference",
        "Backbones trained on everything: test recall@20 and NDCG@20 of all users, beside published values",
        ("backbone",),
        tuple(
            Entry({"backbone": backbone, "method": "original"}, {"backbone": backbone, "method": "original"})
            for backbone in backbones
        ),
        tuple(
            Quantity(
                f"{TITLES.get(dataset, dataset)} {title}",
                f"test_all_users/{metric}",
                "high",
                f"test/{metric}",
                {"dataset": dataset, "regime": "none", "audit": "none"},
                gap=False,
            )
            for dataset in datasets
            for metric, title in (("recall_at_20", "recall@20"), ("ndcg_at_20", "NDCG@20"))
        ),
        ("published: the reference row of the backbone (MMRec data and protocol).",),
        ranked=False,
    )


LOSS_SHARDS, LOSS_SHARDS_SMALL = (5, 10), (2, 3)
"""Numbers of shards in the table of their loss; on the synthetic set at test size more would be too small."""


def _shard_loss(scope: Scope) -> Layout:
    backbones = scope.backbones or ("lightgcn", "vbpr", "mgcn", "freedom")
    datasets = scope.datasets or ("baby",)
    numbers = LOSS_SHARDS_SMALL if datasets == SMALL.datasets else LOSS_SHARDS
    systems = {"original": {"method": "original"}} | {
        f"{method}_{number}": {"method": method, "method.shards": str(number)}
        for method in ("sisa", "receraser", "ultrare")
        for number in numbers
    }
    return Layout(
        "shard-loss",
        "Shard loss by backbone: k shards without any deletion beside one model on everything",
        ("backbone", "method"),
        tuple(
            Entry({"backbone": backbone, "method": system}, {"backbone": backbone, **overrides})
            for backbone, (system, overrides) in product(backbones, systems.items())
        ),
        tuple(
            Quantity(
                f"{TITLES.get(dataset, dataset)} {title}",
                f"test_all_users/{metric}",
                "high",
                None,
                {"dataset": dataset, "regime": "none", "audit": "none"},
                gap=False,
            )
            for dataset in datasets
            for metric, title in (("recall_at_20", "recall@20"), ("ndcg_at_20", "NDCG@20"))
        ),
        ("nothing is forgotten: the difference to the row of the original is what sharding itself costs.",),
        ranked=False,
        published=False,
    )


TABLES: dict[str, Callable[[Scope], Layout]] = {
    "tru-table-1": _table_1,
    "tru-table-2": _table_2,
    "tru-table-3": _table_3,
    "tru-table-4": _table_4,
    "backbone-reference": _backbone_reference,
    "shard-loss": _shard_loss,
}
"""Table by name."""


def layout(name: str, scope: Scope) -> Layout:
    """The layout of a table in a scope. Raises ``InputError``."""
    if name not in TABLES:
        raise InputError(f"table={name} is not known: choose one of {', '.join(TABLES)}.")
    made = TABLES[name](scope)
    entries = tuple(
        replace(
            entry,
            overrides={
                **entry.overrides,
                **scope.options.get(entry.method, {}),
                **(scope.drawn if entry.overrides.get("regime") in DRAWN else {}),
            },
        )
        for entry in made.entries
    )
    quantities = tuple(
        replace(own, overrides={**own.overrides, **scope.poison}) if "poison" in own.overrides else own
        for own in made.quantities
    )
    made = replace(made, entries=entries, quantities=quantities)
    return replace(
        made,
        seeds=scope.seeds or made.seeds,
        requests=scope.requests or made.requests,
        overrides=scope.overrides,
    )


def row_name(layout: Layout, entry: Entry) -> str:
    """The name of a row: its printed labels, joined by slashes."""
    return "/".join(entry.labels[label] for label in layout.shown)


def only(layout: Layout, row: str) -> Layout:
    """The layout with nothing but the block of a row. Raises ``InputError`` where there is no such row."""
    blocks = {row_name(layout, entry): entry.block for entry in layout.entries}
    if row not in blocks:
        raise InputError(f"row={row} is not in {layout.name}: choose one of {', '.join(blocks)}.")
    kept = tuple(entry for entry in layout.entries if entry.block == blocks[row])
    return replace(layout, entries=kept)


def _entry(backbone: str, dataset: str, regime: str, method: str) -> Entry:
    labels = {"backbone": backbone, "dataset": dataset, "regime": regime, "method": method}
    options = ABLATIONS.get(method, {})
    return Entry(labels, {**labels, **({"method": "tru", **options} if method in ABLATIONS else {})})
