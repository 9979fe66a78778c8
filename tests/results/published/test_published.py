"""The published numbers: every printed place is there, and what is wrong with it is attached to it."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from datasets.errors import InputError
from results.published.numbers import PublishedNumber, PublishedTable, load, names, published

BACKBONES, DATASETS = ("mgcn", "mig_gt"), ("baby", "clothing", "sports")
REGIMES = ("user", "item", "interaction")
FOUR_METRICS = ("test/recall_at_20", "test/ndcg_at_20", "forget/recall_at_20", "forget/ndcg_at_20")
SEVEN = ("original", "retrain", "ultrare", "multidelete", "scalegun", "mmrecun", "tru")


def one(table: str, metric: str, **labels: str) -> PublishedNumber:
    found = published(table).find(labels, metric)
    assert found is not None, (table, metric, labels)
    return found


def test_table_1_is_whole() -> None:
    table = published("tru-table-1")
    for backbone, dataset, method in product(BACKBONES, DATASETS, ("original", "mmrecun", "tru")):
        for regime, metric in product(REGIMES, FOUR_METRICS):
            one("tru-table-1", metric, backbone=backbone, dataset=dataset, method=method, regime=regime)
    assert len(list(table.numbers())) == 2 * 3 * 3 * 3 * 4


@pytest.mark.parametrize(
    ("labels", "metric", "value"),
    [
        (("mgcn", "baby", "item", "original"), "test/recall_at_20", 0.0975),
        (("mgcn", "sports", "item", "tru"), "forget/ndcg_at_20", 0.0001),
        (("mgcn", "baby", "item", "mmrecun"), "forget/recall_at_20", 0.0002),
        (("mig_gt", "clothing", "interaction", "tru"), "forget/ndcg_at_20", 0.0877),
        (("mig_gt", "sports", "user", "original"), "forget/recall_at_20", 0.7510),
    ],
)
def test_table_1_places(labels: tuple[str, ...], metric: str, value: float) -> None:
    named = dict(zip(("backbone", "dataset", "regime", "method"), labels, strict=True))
    assert one("tru-table-1", metric, **named).value == value


def test_tables_2_and_3_are_whole() -> None:
    for backbone, dataset in (("mig_gt", "sports"), ("mgcn", "clothing")):
        for method in SEVEN:
            labels = {"backbone": backbone, "dataset": dataset, "method": method, "regime": "user"}
            for metric in ("test/recall_at_20", "forget/recall_at_20"):
                assert (one("tru-table-2", metric, **labels).change is None) == (method == "original")
            for metric in ("membership", "backdoor") if method != "original" else ():
                assert (one("tru-table-3", metric, **labels).change is None) == (method == "retrain")
    assert len(list(published("tru-table-2").numbers())) == 2 * 7 * 2
    assert len(list(published("tru-table-3").numbers())) == 2 * 6 * 2


def changes(table: PublishedTable) -> list[tuple[PublishedNumber, float]]:
    """Printed numbers with a change, and the value that the change is printed against."""
    every = {(n.labels["backbone"], n.labels["method"], n.metric): n for n in table.numbers()}
    against = str(table.changes_against)
    return [
        (number, every[number.labels["backbone"], against, number.metric].value)
        for number in every.values()
        if number.change is not None
    ]


def test_printed_changes_are_what_the_printed_values_give_or_a_noted_contradiction() -> None:
    found = changes(published("tru-table-2")) + changes(published("tru-table-3"))
    assert len(found) == 24 + 20
    for number, reference in found:
        if number.table == "tru-table-2" and number.labels["backbone"] == "mig_gt":
            implied = {"test/recall_at_20": 0.1034, "forget/recall_at_20": 0.6818}[number.metric]
            assert number.change == pytest.approx(number.value - implied, abs=1e-9)
            assert number.change != pytest.approx(number.value - reference, abs=1e-4)
            assert "B2.3" in [note.id for note in number.notes]
        else:
            assert number.change == pytest.approx(number.value - reference, abs=1e-9)


def test_table_4_is_whole() -> None:
    rows = {row.labels for row in published("tru-table-4").rows}
    variants = ("tru", "tru_without_gate", "tru_without_scaling", "tru_without_isolation")
    assert rows == set(product(BACKBONES, ("baby",), variants))
    assert len(list(published("tru-table-4").numbers())) == 16


def test_table_5_averages_and_sparsity_follow_from_its_counts() -> None:
    rows = published("tru-table-5").rows
    assert len(rows) == 12
    for row in rows:
        users, items, pairs, per_user, per_item, sparsity = (float(value or 0) for value in row.values)
        assert per_user == pytest.approx(pairs / users, abs=6e-5)
        assert per_item == pytest.approx(pairs / items, abs=6e-5)
        assert sparsity == pytest.approx(100 * (1 - pairs / users / items), abs=6e-5)
    for dataset in ("baby", "sports", "clothing"):
        pairs = {row.labels[1]: row.values[2] for row in rows if row.labels[0] == dataset}
        assert pairs["overall"] == sum(pairs[split] or 0 for split in ("train", "valid", "test"))


def test_shares_are_between_zero_and_one() -> None:
    for name in names():
        if name != "tru-table-5":
            assert all(0 <= number.value <= 1 for number in published(name).numbers())


def test_every_contradiction_is_attached_to_a_number() -> None:
    attached = {note.id for name in names() for number in published(name).numbers() for note in number.notes}
    assert attached >= {f"B2.{number}" for number in range(1, 17)}


@pytest.mark.parametrize(
    ("table", "metric", "labels", "note"),
    [
        ("tru-table-1", "forget/recall_at_20", ("mig_gt", "sports", "user", "tru"), "B2.4"),
        ("tru-table-1", "forget/recall_at_20", ("mgcn", "clothing", "interaction", "original"), "B2.8"),
        ("tru-table-1", "test/recall_at_20", ("mig_gt", "sports", "user", "tru"), "B2.11"),
        ("tru-table-2", "forget/recall_at_20", ("mgcn", "clothing", "user", "ultrare"), "B2.7"),
        ("tru-table-2", "test/recall_at_20", ("mig_gt", "sports", "user", "multidelete"), "B2.6"),
        ("tru-table-3", "membership", ("mig_gt", "sports", "user", "retrain"), "B2.5"),
        ("tru-table-3", "backdoor", ("mgcn", "clothing", "user", "tru"), "B2.13"),
    ],
)
def test_contradictions_stand_where_they_belong(
    table: str, metric: str, labels: tuple[str, ...], note: str
) -> None:
    named = dict(zip(("backbone", "dataset", "regime", "method"), labels, strict=True))
    assert note in [found.id for found in one(table, metric, **named).notes]


def test_a_note_is_not_attached_elsewhere() -> None:
    notes = one(
        "tru-table-1", "forget/recall_at_20", backbone="mgcn", dataset="sports", regime="user", method="tru"
    ).notes
    assert not {"B2.3", "B2.4", "B2.8", "B2.11"} & {note.id for note in notes}


def test_success_rates_are_of_few_trials() -> None:
    """B2.13: multiples of 1/37 and of 2/15."""
    for number in published("tru-table-3").numbers():
        if number.metric == "backdoor":
            trials = {"mig_gt": 37, "mgcn": 15}[number.labels["backbone"]]
            assert number.value * trials == pytest.approx(round(number.value * trials), abs=2e-3)


def test_the_secondary_source_repeats_the_tables() -> None:
    table = published("mmrecun-secondary")
    repeats = {column.name: column.repeats for column in table.columns}
    for number in table.numbers():
        found = published(str(repeats[number.column])).find(number.labels, number.metric)
        assert found is not None
        assert found.value == pytest.approx(number.value, abs=1e-4)


def test_backbone_reference_rows() -> None:
    assert one("backbone-reference", "test/recall_at_20", backbone="mgcn", dataset="baby").value == 0.0964
    assert one("backbone-reference", "test/recall_at_20", backbone="mig_gt", dataset="baby").value == 0.1021
    assert published("backbone-reference").find({"backbone": "mig_gt", "dataset": "sports"}, "x") is None
    first = one("backbone-reference", "test/recall_at_20", backbone="vbpr", dataset="clothing")
    assert (first.value, first.labels["source"]) == (0.0415, "A B C D")


BROKEN = """
table: t
source: {paper: p, identifier: i, place: x}
unit: u
row_labels: [method]
columns: [{name: a, metric: m}]
rows: [{labels: [tru], values: VALUES}]
notes: [{id: n, text: t, places: [{method: METHOD}]}]
"""


@pytest.mark.parametrize(
    ("values", "method", "complaint"),
    [
        ("[1, 2]", "tru", "one number per column"),
        ("[.1]", "other", "attached to no number"),
        ("x", "tru", "values"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(
    tmp_path: Path, values: str, method: str, complaint: str
) -> None:
    file = tmp_path / "t.yaml"
    file.write_text(BROKEN.replace("VALUES", values).replace("METHOD", method))
    with pytest.raises(InputError, match=complaint):
        load(file)


def test_an_unknown_table_is_refused() -> None:
    with pytest.raises(InputError, match="choose one of backbone-reference"):
        published("tru-table-9")
