"""CRAGRU in cells: what is served, what is refused, what it costs, and what is left on disk afterwards."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from bench.cell.pipeline import CellPipeline
from bench.cell.run import run_cell
from bench.planning import rehearsal
from bench.planning.dry import forecasts
from bench.planning.planner import PlannedCell
from bench.record.store import Store
from datasets.errors import InputError
from tests.bench.cell.test_pipeline import planned
from tests.leakage.observed import Observed, observe, outputs
from tests.unlearning.cells import Tape, private_copy, problem, trained
from tests.unlearning.llm.server import Reply, Script, Server, good, serving
from unlearning.cragru import CRAGRU, CRAGRUOptions
from unlearning.cragru_no_llm import CRAGRUNoLLM, CRAGRUNoLLMOptions
from unlearning.llm.options import LLMOptions
from unlearning.rag.reranker import Reranker, TooManyFallbacks

QUICK = ("backbone=lightgcn", "train.max_epochs=1", "regime.ratio=0.2", "evaluate.trajectory=false")
SAMPLE = ("evaluate.users.count=20", "method.candidates=12", "regime=interaction")


def asked_of(server: Server, *more: str) -> list[str]:
    llm = [f"method.llm.base_url={server.url}", "method.llm.model=tiny"]
    return ["method=cragru", *QUICK, *SAMPLE, *llm, *more]


def cell(folder: Path, server: Server, *more: str) -> PlannedCell:
    return planned(folder, *asked_of(server, *more))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(good) as running:
        yield running


def served(seen: Observed) -> Reranker:
    """The model that was measured, as it was before it was asked."""
    model = seen.measured_model
    assert isinstance(model, Reranker)
    return model


def test_a_cell_from_end_to_end(tmp_path: Path, server: Server) -> None:
    audits = "audit.audits=[membership_score,popularity,relearn,return,representation]"
    more = ["audit=full", audits, "evaluate.users.count=120"]
    done = cell(tmp_path, server, *more, "method.llm.price_in=1.0", "method.llm.price_out=2.0")
    store = Store(done.config.tracking)
    run = store.client.get_run(run_cell(done))
    metrics, tags = run.data.metrics, run.data.tags
    assert metrics["serve/lists"] == 120
    assert metrics["llm/calls"] == len(server.calls) == 120 - metrics["serve/without_history"]
    assert metrics["llm/tokens_in"] == 100 * metrics["llm/calls"]
    assert metrics["llm/tokens_out"] == 20 * metrics["llm/calls"]
    assert metrics["cost/money"] == pytest.approx(metrics["llm/calls"] * 140 / 1e6)
    assert metrics["llm/fallback_rate"] == metrics["llm/cached_share"] == 0
    assert 0 < metrics["retrieval/chosen_share"] <= 1
    assert metrics["serve/seconds_per_list"] > metrics["serve/base_seconds_per_list"] > 0
    assert metrics["cost/break_even_lists"] >= 0
    for role in ("", "base_", "original_", "gold_"):
        assert f"audit/membership/{role}auc" in metrics
    assert {"test/recall_at_20_low", "base/test/recall_at_20", "forget/recall_at_20"} <= metrics.keys()
    assert "retain/recall_at_20" not in metrics
    assert "base/retain/recall_at_20" in metrics
    for name in ("retain", "forget_unmasked", "audit/relearn", "audit/return", "audit/representation"):
        assert tags[f"lethe.not_applicable.{name}"]
    assert "audit/relearn/gold_area" in metrics
    assert "audit/relearn/base_area" in metrics
    assert run.data.params["method.llm.model"] == "tiny"
    assert run.data.params["evaluate.users.count"] == "120"


def test_lists_are_the_models_order_of_the_bases_candidates(tmp_path: Path, server: Server) -> None:
    seen = observe(tmp_path, *asked_of(server, "method.shuffle=false"))
    model, users = served(seen), model_users(seen)
    places, base = model.scorer()(users), model.base.scores(users)
    for row, user in enumerate(users.tolist()):
        known = seen.task.retain.train[1, seen.task.retain.train[0] == user]
        base[row, known] = -torch.inf
        order = base[row].argsort(descending=True, stable=True)
        listed = places[row].argsort(descending=True, stable=True)
        assert listed[:12].tolist() == order[:12].tolist(), "scores fall with the number: the base's order"
        rest = [item for item in listed[12:].tolist() if item not in known.tolist()]
        assert rest == [item for item in order[12:].tolist() if item not in known.tolist()]


def model_users(seen: Observed) -> torch.Tensor:
    users = seen.task.users
    assert users is not None
    return users


def test_the_prompt_holds_the_retained_history_and_nothing_that_was_forgotten(
    tmp_path: Path, server: Server
) -> None:
    seen = observe(tmp_path, *asked_of(server, "method.history=100", "method.strategy=first"))
    titles = [text.title for text in seen.task.retain.item_text or ()]
    by_history = {}
    for call in server.calls:
        bought = call["messages"][1]["content"].partition("Candidates:")[0]
        lines = {line.removeprefix("- ").rpartition(" (")[0] for line in bought.splitlines()[1:] if line}
        by_history[frozenset(lines)] = call
    train, forget = seen.task.retain.train, seen.task.request.forget
    touched = 0
    for user in model_users(seen).tolist():
        own = frozenset(titles[item] for item in train[1, train[0] == user].tolist())
        assert not own or own in by_history
        touched += bool((forget[0] == user).any())
    assert touched > 3


def test_shuffled_candidates_are_put_back(tmp_path: Path) -> None:
    """A model that likes one word best ranks it first, wherever it stands in the prompt."""

    def likes(call: dict[str, object], _: int) -> Reply:
        messages: list[dict[str, str]] = call["messages"]  # type: ignore[assignment]
        lines = [line for line in messages[1]["content"].splitlines() if line[:1].isdigit()]
        numbers = {line.partition(":")[0]: sum(map(ord, line.partition(" ")[2])) % 97 + 1 for line in lines}
        return Reply(json.dumps(numbers))

    lists = []
    for shuffle in ("true", "false"):
        with serving(likes) as running:
            seen = observe(tmp_path / shuffle, *asked_of(running, f"method.shuffle={shuffle}"))
            lists.append(seen.outcome.measured.lists["items"])
            orders = [call["messages"][1]["content"].partition("Candidates:")[2] for call in running.calls]
        assert len(set(orders)) > 10
    assert torch.equal(lists[0][:, :5], lists[1][:, :5])


BAD: dict[str, Script] = {
    "prose": lambda call, _: Reply("I cannot say."),
    "half of the candidates": lambda call, _: Reply(json.dumps({str(k): 5 for k in range(1, 7)})),
    "an answer that is cut": lambda call, _: Reply(good(call).text[:-20]),
    "a broken server": lambda call, _: Reply(status=500),
}


@pytest.mark.parametrize("script", BAD.values(), ids=BAD.keys())
def test_too_many_fallbacks_fail_the_cell_in_one_sentence(
    script: Script, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with serving(script) as running:
        done = cell(tmp_path, running, "method.llm.tries=2", "method.llm.retries=1", "method.llm.parallel=1")
        with pytest.raises(TooManyFallbacks, match=r"of 20 lists have no readable answer, more than"):
            run_cell(done)
    (run,) = Store(done.config.tracking).runs("")
    assert run.info.status == "FAILED"
    assert "method.max_fallback=0.02" in run.data.tags["lethe.failure"]


@pytest.mark.parametrize("bad", [3, 0])
def test_fallbacks_within_the_limit_are_counted_and_serve_the_bases_order(bad: int, tmp_path: Path) -> None:
    refused: set[str] = set()

    def script(call: dict[str, object], _: int) -> Reply:
        messages: list[dict[str, str]] = call["messages"]  # type: ignore[assignment]
        if len(refused) < bad:
            refused.add(messages[1]["content"])
        return Reply("no") if messages[1]["content"] in refused else good(call)

    with serving(script) as running:
        more = ["method.max_fallback=0.2", "method.llm.tries=2", "method.llm.parallel=1"]
        seen = observe(tmp_path, *asked_of(running, *more))
    assert seen.outcome.measured.metrics["llm/fallback_rate"] == bad / 20
    asked = 20 - seen.outcome.measured.metrics["serve/without_history"]
    assert seen.outcome.measured.metrics["llm/calls"] == asked + bad


def test_answers_that_repeat_and_omit_a_few_candidates_are_read(tmp_path: Path) -> None:
    def script(call: dict[str, object], _: int) -> Reply:
        scores = json.loads(good(call).text)
        del scores["4"]
        return Reply(json.dumps(scores).replace("}", ', "2": 1}'))

    with serving(script) as running:
        seen = observe(tmp_path, *asked_of(running))
    assert seen.outcome.measured.metrics["llm/fallback_rate"] == 0


def test_a_budget_refuses_before_anything_starts(tmp_path: Path, server: Server) -> None:
    with pytest.raises(
        InputError, match=r"method\.llm\.budget_tokens=1000 is less than the about \d+ tokens"
    ):
        cell(tmp_path, server, "method.llm.budget_tokens=1000")
    prices = ["method.llm.price_in=1000.0", "method.llm.price_out=1000.0", "method.llm.budget_money=1.0"]
    with pytest.raises(InputError, match=r"method\.llm\.budget_money=1.0 is less than the about 15"):
        cell(tmp_path, server, *prices)
    with pytest.raises(InputError, match="has no prices"):
        cell(tmp_path, server, "method.llm.budget_money=1.0")
    assert server.calls == []
    (line,) = forecasts([cell(tmp_path, server)])
    assert "20 calls, about 13,680 tokens in and 1,880 out" in line


def test_a_strategy_that_chooses_nothing_is_refused() -> None:
    task = problem("interaction")
    model = private_copy(trained("lightgcn"), task)
    with pytest.raises(InputError, match=r"strategy=preference has nothing to choose: no user has more than"):
        CRAGRUNoLLM(CRAGRUNoLLMOptions(history=6)).unlearn(model, task, Tape())
    CRAGRUNoLLM(CRAGRUNoLLMOptions(history=6, strategy="first")).unlearn(model, task, Tape())


def test_data_without_text_are_refused() -> None:
    task = problem("interaction")
    llm = LLMOptions(model="tiny", base_url="http://127.0.0.1:1/v1")
    with pytest.raises(InputError, match="method=cragru writes prompts from item text and there is none"):
        CRAGRU(CRAGRUOptions(llm=llm)).unlearn(private_copy(trained("lightgcn"), task), task, Tape())


@pytest.mark.parametrize("method", ["cragru", "cragru_no_llm"])
def test_data_without_text_are_refused_before_any_training(
    method: str, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = rehearsal.read_checked
    monkeypatch.setattr(rehearsal, "read_checked", lambda reader: replace(read(reader), item_text=None))
    more = asked_of(server)[1:] if method == "cragru" else [*QUICK, "regime=interaction"]
    due = [planned(tmp_path, f"method={method}", *more)]
    if method == "cragru_no_llm":
        rehearsal.rehearse(due)
        return
    with pytest.raises(InputError, match="method=cragru writes prompts from item text and there is none"):
        rehearsal.rehearse(due)


def test_who_is_not_measured_is_not_served(tmp_path: Path, server: Server) -> None:
    seen = observe(tmp_path, *asked_of(server))
    model, users = served(seen), set(model_users(seen).tolist())
    stranger = next(user for user in range(200) if user not in users)
    with pytest.raises(RuntimeError, match="not measured"):
        model.scorer()(torch.tensor([stranger]))


@pytest.mark.parametrize("mask", ["retain", "full"])
def test_the_mask_decides_whether_a_forgotten_item_can_come_back(mask: str, tmp_path: Path) -> None:
    seen = observe(tmp_path, "method=cragru_no_llm", *QUICK, "regime=interaction", f"method.mask={mask}")
    model, forget = served(seen), seen.task.request.forget
    places = outputs(model)[forget[0], forget[1]]
    among = int((places > 0).sum())
    assert among == 0 if mask == "full" else among > 20


@pytest.mark.parametrize("regime", ["user", "item"])
def test_withdrawn_items_are_no_candidates_and_the_forgotten_get_the_bases_list(
    regime: str, tmp_path: Path
) -> None:
    seen = observe(tmp_path, "method=cragru_no_llm", *QUICK, f"regime={regime}")
    model, request = served(seen), seen.task.request
    places = outputs(model)
    if regime == "item":
        assert (places[:, request.items] <= 0).all()
        return
    base = model.base.eval().scores(request.users)
    own = places[request.users].argsort(dim=1, descending=True)
    assert torch.equal(own, base.argsort(dim=1, descending=True, stable=True))
    assert seen.outcome.measured.metrics["serve/without_history"] == len(request.users)


def test_the_three_strategies_and_controls_differ_where_they_choose(tmp_path: Path) -> None:
    """On data with item text; the share of users that it can differ for is logged."""
    lists, shares = {}, set()
    for strategy in ("preference", "diversity", "attention", "random", "first"):
        options = [f"method.strategy={strategy}", "method.categories=content", "train.max_epochs=2"]
        seen = observe(tmp_path, "method=cragru_no_llm", *QUICK[:1], *options, "regime=interaction")
        lists[strategy] = seen.outcome.measured.lists["items"].numpy()
        shares.add(seen.outcome.measured.metrics["retrieval/chosen_share"])
    (share,) = shares
    assert 0.5 < share < 1
    for one, other in (("preference", "diversity"), ("preference", "attention"), ("attention", "first")):
        differing = np.mean((lists[one] != lists[other]).any(axis=1))
        assert 0.05 < differing <= share


def answers_in(folder: Path) -> list[Path]:
    return sorted(file for file in (folder / "cache" / "kept").rglob("*") if file.is_file())


def test_answers_are_kept_and_a_second_run_asks_nobody(tmp_path: Path, server: Server) -> None:
    first = CellPipeline(cell(tmp_path, server)).run().measured
    calls = len(server.calls)
    assert len(answers_in(tmp_path)) == calls > 10
    again = CellPipeline(cell(tmp_path, server, "method.llm.replay=only")).run().measured
    assert len(server.calls) == calls
    assert again.metrics["llm/cached_share"] == 1
    same = ("llm/tokens_in", "llm/seconds_per_user", "test/recall_at_20")
    assert all(again.metrics[name] == pytest.approx(first.metrics[name]) for name in same)


def test_after_a_request_nothing_of_before_it_is_left_of_those_it_touches(
    tmp_path: Path, server: Server
) -> None:
    """Neither on disk nor in MLflow: no prompt, no answer, no title of a forgotten pair's prompt."""
    before = planned(tmp_path, *asked_of(server, "regime.ratio=0.02", "evaluate.users.count=200"))
    run_cell(before)
    kept = {file.parent.name for file in answers_in(tmp_path)}
    request = ["regime=user", "regime.ratio=0.2", "evaluate.users.count=200"]
    seen = observe(tmp_path, *asked_of(server, *request, "regime.seed=5"))
    gone = {str(user) for user in seen.task.request.users.tolist()}
    assert len(gone & kept) > 20
    left = {file.parent.name for file in answers_in(tmp_path)}
    assert not left & gone
    assert kept - gone <= left
    purged = [value for key, value in seen.outcome.notes.items() if key == "purged_answers"]
    assert purged[0] >= len(gone & kept)
    prompts = {call["messages"][1]["content"] for call in server.calls}
    database = sqlite3.connect(tmp_path / "mlflow.db")
    dump = "\n".join(database.iterdump())
    files = [file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()]
    database.close()
    probe = next(iter(prompts)).splitlines()[1]
    assert probe not in dump
    assert not any(probe.encode() in content for content in files), "no prompt is written anywhere"


def test_touched_users_keep_only_what_was_asked_after_the_request(tmp_path: Path, server: Server) -> None:
    """In the interaction regime they stay, and are asked about anew from what they have left."""
    first = observe(tmp_path, *asked_of(server, "regime.ratio=0.02", "evaluate.users.count=200"))
    old = {file: json.loads(file.read_text())["history"] for file in answers_in(tmp_path)}
    second = observe(
        tmp_path, *asked_of(server, "regime.ratio=0.2", "evaluate.users.count=200", "regime.seed=3")
    )
    touched = {str(user) for user in second.task.request.forget[0].tolist()}
    assert touched
    assert first.task.full.fingerprint == second.task.full.fingerprint
    for file in answers_in(tmp_path):
        if file.parent.name in touched:
            assert json.loads(file.read_text())["history"] != old.get(file, "")
