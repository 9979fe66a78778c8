"""Streams: ordered requests that compose to their union, drawn reproducibly, refused in one sentence."""

from __future__ import annotations

import dataclasses
import importlib
from pathlib import Path

import pytest
import torch
import yaml

from datasets.errors import InputError
from datasets.poison import Injection
from datasets.regimes.user import UserRegime
from datasets.request_options import RequestOptions
from datasets.requests import DeletionRequest
from datasets.streams import STREAMS
from datasets.streams.base import Stream, checkpoint_indices
from datasets.streams.composing import union
from datasets.streams.options import StreamOptions
from datasets.validation import DataSummary
from tests.tiny import tiny_data

CONF = Path(__file__).parents[3] / "conf" / "stream"
DATA = tiny_data()
SUMMARY = DataSummary(40, 24, 240, 80, 80, 0, 0)


def stream(name: str, **options: object) -> Stream:
    module, _, kind = STREAMS[name].partition(":")
    made: Stream = getattr(importlib.import_module(module), kind)(StreamOptions(name=name, **options))  # type: ignore[arg-type]
    return made


@pytest.mark.parametrize("name", sorted(STREAMS))
def test_the_config_file_states_every_option(name: str) -> None:
    stated = yaml.safe_load((CONF / f"{name}.yaml").read_text(encoding="utf-8"))
    assert stated.keys() == {field.name for field in dataclasses.fields(StreamOptions)}
    assert stated["name"] == name


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("order", ["sorted", "random", "activity"])
def test_requests_one_after_the_other_leave_what_their_union_leaves(order: str, batch: int) -> None:
    made = stream("users", count=7, batch=batch, order=order, seed=2)
    requests = made.requests(DATA)
    assert len(requests) == made.size(SUMMARY, None) == -(-7 // batch)
    rest = DATA
    for request in requests:
        assert request.forget.shape[1] > 0
        rest = request.apply(rest)
    once = union(requests, DATA)
    assert len(once.users) == 7
    whole = once.apply(DATA)
    assert torch.equal(rest.train, whole.train)
    assert torch.equal(rest.valid, whole.valid)
    assert sum(request.forget.shape[1] for request in requests) == once.forget.shape[1]


def test_who_asks_is_who_the_user_regime_draws() -> None:
    once = union(stream("users", count=7, seed=2).requests(DATA), DATA)
    regime = UserRegime(RequestOptions(name="user", count=7, seed=2)).draw(DATA)
    assert torch.equal(once.users, regime.users)
    assert torch.equal(once.forget, regime.forget)


def test_orders() -> None:
    def users(order: str, seed: int = 0) -> list[int]:
        requests = stream("users", count=9, order=order, seed=seed).requests(DATA)
        return [int(request.users[0]) for request in requests]

    assert users("sorted") == sorted(users("sorted"))
    assert users("random") != users("sorted")
    assert sorted(users("random")) == users("sorted")
    assert users("random") == users("random")


def test_the_most_active_ask_first() -> None:
    fewer = dataclasses.replace(DATA, train=DATA.train[:, 9:])  # users 0 and 1 have lost pairs
    requests = stream("users", count=30, order="activity").requests(fewer)
    sizes = [request.forget.shape[1] for request in requests]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) > 1


def test_checkpoints_are_those_of_the_published_protocol() -> None:
    assert checkpoint_indices((0.25, 0.5, 0.75, 1.0), 200) == [50, 100, 150, 199]
    assert checkpoint_indices((0.25, 0.5, 0.75, 1.0), 10) == [2, 5, 7, 9]
    assert checkpoint_indices((0.25, 0.5), 1) == [0]


def test_injected_users_are_asked_away() -> None:
    injection = Injection("spam", (36, 40), (40, 40), (), (3,))
    poisoned = dataclasses.replace(DATA, provenance={"poison": dataclasses.asdict(injection)})
    requests = stream("spam").requests(poisoned)
    assert [request.users.tolist() for request in requests] == [[36], [37], [38], [39]]
    assert len(stream("spam", count=2).requests(poisoned)) == 2
    watched = stream("spam").watched_items(poisoned)
    assert watched is not None
    assert watched.tolist() == [3]
    assert stream("users", count=2).watched_items(poisoned) is None
    with pytest.raises(InputError, match="finds no injected users"):
        stream("spam").requests(DATA)


USER, ITEM = (int(value) for value in DATA.train[:, 0])
OTHER = next(int(i) for i in DATA.train[1][DATA.train[0] == 7])


def log(folder: Path, text: str) -> str:
    path = folder / "log.csv"
    path.write_text(text)
    return str(path)


def test_a_log_is_served_by_date_and_a_request_may_name_several_things(tmp_path: Path) -> None:
    text = (
        "request,date,userID,itemID\n"
        f"late,2026-03-02,9,\n"
        f"mixed,2026-03-01,7,{OTHER}\n"
        f"mixed,2026-03-01,5,\n"
        f"again,2026-03-04,9,\n"
        f"item,2026-03-03,,2\n"
    )
    requests = stream("file", file=log(tmp_path, text)).requests(DATA)
    assert [request.users.tolist() for request in requests] == [[5], [9], []]
    assert requests[2].items.tolist() == [2]
    pairs = {tuple(pair) for pair in requests[0].forget.t().tolist()}
    assert (7, OTHER) in pairs
    assert all(user == 5 for user, item in pairs - {(7, OTHER)})
    assert len(requests) == 3, "the second time, user 9 has nothing left to ask for"


FAULTS = [
    ("request,date,userID\n", "lists no request"),
    ("date,userID\n2026-01-01,3\n", "has no column request"),
    ("request,date\nr,2026-01-01\n", "neither a column for users nor one for items"),
    ("request,date,userID\nr,yesterday,3\n", r"line 2 has the date 'yesterday': write it as YYYY-MM-DD"),
    ("request,date,userID\nr,2026-01-01 noonish,3\n", "line 2 has the date"),
    ("request,date,userID\nr,2026-01-01,400\n", r"line 2 has userID=400, which is out of range: .* 0 to 39"),
    ("request,date,userID\nr,2026-01-01,x\n", "line 2 has userID=x, which is no dense id"),
    ("request,date,userID\nr,2026-01-01,\n", "line 2 names nobody and nothing"),
    ("request,date,userID\n,2026-01-01,3\n", "line 2 has no request id"),
    ("request,date,userID\nr,2026-01-01,3\nr,2026-01-02,4\n", "line 3 gives request r the date 2026-01-02"),
    (f"request,date,userID,itemID\nr,2026-01-01,{USER},{(ITEM + 1) % 24}\n", "is not in the training split"),
    ("request,date,user\nr,2026-01-01,Anna\n", "line 2"),
]


@pytest.mark.parametrize(("text", "message"), FAULTS)
def test_a_log_that_cannot_be_followed_is_refused_in_one_sentence(
    text: str, message: str, tmp_path: Path
) -> None:
    if "is not in the training split" in message:
        taken = set(DATA.train[1][DATA.train[0] == USER].tolist())
        text = text.replace(f",{(ITEM + 1) % 24}\n", f",{next(i for i in range(24) if i not in taken)}\n")
    with pytest.raises(InputError, match=message) as caught:
        stream("file", file=log(tmp_path, text)).requests(DATA)
    assert "\n" not in str(caught.value)
    assert "stream.file=" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "options", "names", "message"),
    [
        ("none", {"count": 3}, ("none", "user"), "choose stream=users"),
        ("users", {"count": 3}, ("none", "item"), "choose regime=user"),
        ("users", {"count": 3, "file": "x"}, ("none", "user"), "choose stream=file"),
        ("spam", {}, ("none", "user"), "choose poison=backdoor or poison=spam"),
        ("spam", {"ratio": 0.1}, ("spam", "poison"), r"set poison\.ratio or stream\.count"),
        ("file", {}, ("none", "user"), r"needs stream\.file"),
        ("file", {"file": "x", "count": 3}, ("none", "user"), "leave it null"),
        ("file", {"file": "x", "batch": 2}, ("none", "user"), "leave them at sorted and 1"),
    ],
)
def test_what_a_stream_does_not_go_with(
    name: str, options: dict[str, object], names: tuple[str, str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        stream(name, **options).check(*names)


def test_a_stream_of_everybody_is_refused() -> None:
    with pytest.raises(InputError, match=r"stream\.count=40 covers all 40"):
        stream("users", count=40).size(SUMMARY, None)
    with pytest.raises(InputError, match="both null"):
        stream("users").size(SUMMARY, None)


def test_the_union_of_one_is_the_one() -> None:
    (request,) = stream("users", count=3, batch=3).requests(DATA)
    once: DeletionRequest = union([request], DATA)
    assert torch.equal(once.forget, request.forget)
    assert torch.equal(once.users, request.users)
