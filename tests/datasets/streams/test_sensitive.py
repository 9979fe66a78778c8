"""Sensitive streams: which items a category has, who asks for what, and what is refused."""

from __future__ import annotations

import dataclasses
import logging

import pytest
import torch

from datasets.errors import InputError
from datasets.interactions import InteractionData
from datasets.item_text import ItemText
from datasets.streams.category import items_below, named_items
from datasets.streams.composing import union
from datasets.streams.sensitive import SensitiveStream
from tests.datasets.streams.test_streams import SUMMARY, stream
from tests.tiny import tiny_data

TEXTS = (
    ItemText("Gun safe", "", ("Sports", "Hunting"), "Holds a GUN."),
    ItemText("Gunmetal lamp", "", ("Home",), "Looks like a gunmetal thing."),
    ItemText("Gun", "", ("Toys", "Hunting games"), "Made of foam."),
    ItemText("Air rifle", "Gun Works", ("Sports", "hunting"), ""),
    ItemText(),
)
WORD = ("soap",)


def test_a_keyword_is_a_whole_word_in_so_many_fields() -> None:
    assert named_items(TEXTS, ("gun",), 1) == [0, 2, 3]
    assert named_items(TEXTS, ("gun",), 2) == [0]
    assert named_items(TEXTS, ("gun", "rifle"), 2) == [0, 3]
    assert named_items(TEXTS, ("air rifle",), 1) == [3]
    assert named_items(TEXTS, ("gun.*",), 1) == [], "words, not patterns"


def test_a_node_is_found_at_any_level_of_the_path() -> None:
    assert items_below(TEXTS, "hunting") == [0, 3]
    assert items_below(TEXTS, "Sports") == [0, 3]
    assert items_below(TEXTS, "Hunt") == []


def described(sensitive: tuple[int, ...] = (1, 4, 6)) -> InteractionData:
    """The tiny data with soap among its items."""
    own = ItemText("Soap", "", ("Bath", "Soap"), "")
    other = ItemText("Brush", "", ("Bath", "Tools"), "Cleans without soap.")
    texts = tuple(own if item in sensitive else other for item in range(24))
    return dataclasses.replace(tiny_data(), item_text=texts)


DATA = described()
SENSITIVE = torch.isin(DATA.train[1], torch.tensor([1, 4, 6]))


def made(**options: object) -> SensitiveStream:
    found = stream("sensitive", **{"keywords": WORD, **options})
    assert isinstance(found, SensitiveStream)
    return found


@pytest.mark.parametrize("batch", [1, 3])
def test_those_who_ask_lose_their_sensitive_pairs_and_keep_the_others(batch: int) -> None:
    requests = made(count=6, batch=batch).requests(DATA)
    assert len(requests) == 6 // batch
    once, train = union(requests, DATA), DATA.train
    assert not once.users.numel()
    assert not once.items.numel()
    asked = once.forget[0].unique()
    assert len(asked) == 6
    expected = train[:, SENSITIVE & torch.isin(train[0], asked)]
    assert torch.equal(once.forget, expected)
    rest = DATA
    for request in requests:
        rest = request.apply(rest)
    assert torch.equal(rest.train, once.apply(DATA).train)
    assert torch.isin(rest.train[1], torch.tensor([1, 4, 6])).any(), "others keep theirs"
    assert torch.equal(rest.valid, DATA.valid), "who asks stays"


def test_users_are_added_whole_until_the_share_is_reached() -> None:
    pairs = DATA.train.shape[1]
    for ratio in (0.01, 0.03, 0.05):
        forget = union(made(ratio=ratio, seed=3).requests(DATA), DATA).forget
        sizes = [request.forget.shape[1] for request in made(ratio=ratio, seed=3).requests(DATA)]
        assert forget.shape[1] >= int(ratio * pairs) > forget.shape[1] - max(sizes)
    drawn = [union(made(count=6, seed=seed).requests(DATA), DATA).forget[0].unique() for seed in (0, 0, 1)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_the_category_is_watched() -> None:
    assert made(count=2).watched_items(DATA).tolist() == [1, 4, 6]
    by_node = made(count=2, keywords=(), category="Soap").watched_items(DATA)
    assert by_node.tolist() == [1, 4, 6]
    assert len(made(count=2, signals=1).watched_items(DATA)) == 24, "a brush cleans without soap"


def test_a_large_category_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        made(count=2).watched_items(DATA)
        assert not caplog.records
        made(count=2).watched_items(described((1, 4, 6, 8)))
    assert "finds 4 of 24 items" in caplog.text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": 1, "keywords": ("unicorn",)}, r"stream\.keywords=\['unicorn'\] .* finds no item"),
        ({"count": 1, "keywords": (), "category": "Unicorns"}, "stream.category=Unicorns finds no item"),
        ({"count": 40}, r"stream\.count=40 is more than the \d+ users"),
        ({"ratio": 0.001}, "is none at all: raise it"),
        ({"ratio": 0.5}, r"asks for 120 training pairs and the category has \d+: lower it"),
    ],
)
def test_what_the_data_cannot_give_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(**options).requests(DATA)


def test_data_without_text_are_refused() -> None:
    with pytest.raises(InputError, match="finds its category in the item text and the data set has none"):
        made(count=1).requests(tiny_data())


@pytest.mark.parametrize(
    ("options", "regime", "message"),
    [
        ({"count": 1}, "user", "choose regime=interaction"),
        ({"count": 1, "file": "x"}, "interaction", "choose stream=file"),
        ({"count": 1, "keywords": ()}, "interaction", "set exactly one of them"),
        ({"count": 1, "category": "Soap"}, "interaction", "set exactly one of them"),
        ({"count": 1, "keywords": ("soap", " ")}, "interaction", "has an empty word"),
        ({}, "interaction", "both null: set one of them"),
    ],
)
def test_what_it_does_not_go_with(options: dict[str, object], regime: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        made(**options).check("none", regime)


def test_the_size_is_the_datas_matter() -> None:
    made(count=1).check("none", "interaction")
    assert made(count=1).size(SUMMARY, None) == 0


@pytest.mark.parametrize("name", ["none", "users", "spam", "file"])
@pytest.mark.parametrize("options", [{"keywords": WORD}, {"category": "Soap"}])
def test_other_streams_know_no_category(name: str, options: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"no meaning with stream={name}: choose stream=sensitive"):
        stream(name, **options).check("none", "user")
