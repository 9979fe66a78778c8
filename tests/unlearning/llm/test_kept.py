"""Kept answers: found by content, whole or not there, deleted when a user asks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from unlearning.llm.answers import Answer, Decoding, LLMError, Prompt
from unlearning.llm.asking import Asker, Question
from unlearning.llm.kept import KeptAnswers, answer_key
from unlearning.llm.options import LLMOptions

ANSWER = Answer("secret answer", 10, 5, 1.5, retries=2)


def files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def test_an_answer_is_found_as_it_was_given(tmp_path: Path) -> None:
    kept = KeptAnswers(tmp_path)
    kept.keep(3, "key", "history", ANSWER)
    assert kept.find(3, "key") == replace(ANSWER, cached=True)
    assert kept.find(3, "other") is None
    assert kept.find(4, "key") is None
    assert len(files(tmp_path)) == 1


def test_a_damaged_entry_is_asked_for_again(tmp_path: Path) -> None:
    kept = KeptAnswers(tmp_path)
    kept.keep(3, "key", "history", ANSWER)
    (file,) = files(tmp_path)
    for damaged in ("", "{", '{"answer": {}}', '{"answer": {"nonsense": 1}}', "[]"):
        file.write_text(damaged)
        assert kept.find(3, "key") is None


def test_an_answer_that_was_lost_is_not_kept(tmp_path: Path) -> None:
    KeptAnswers(tmp_path).keep(3, "key", "history", Answer("", 0, 0, 0.0, lost="no server"))
    assert files(tmp_path) == []


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        KeptAnswers(tmp_path).keep(3, "key", "history", ANSWER)
    assert files(tmp_path) == []


def test_a_request_deletes_what_was_asked_before_it_and_nothing_else(tmp_path: Path) -> None:
    kept = KeptAnswers(tmp_path)
    for user in (1, 2, 3):
        kept.keep(user, "old", "before", ANSWER)
        kept.keep(user, "new", "after", ANSWER)
    (tmp_path / "1" / ".old.json.half").write_text("half of an entry")
    (tmp_path / "1" / "damaged.json").write_text("{")
    assert kept.purge({1: "after", 2: "", 9: "after"}) == 5
    assert [str(file.relative_to(tmp_path)) for file in files(tmp_path)] == [
        "1/new.json",
        "3/new.json",
        "3/old.json",
    ]
    assert not (tmp_path / "2").exists()


def test_a_key_covers_everything_that_determines_an_answer() -> None:
    identity, decoding, prompt = {"model": "m"}, Decoding(0.0, 0, 10), Prompt("s", "u")
    base = answer_key(identity, decoding, "1", prompt)
    others = [
        answer_key({"model": "n"}, decoding, "1", prompt),
        answer_key(identity, replace(decoding, temperature=0.3), "1", prompt),
        answer_key(identity, replace(decoding, seed=1), "1", prompt),
        answer_key(identity, replace(decoding, max_new_tokens=11), "1", prompt),
        answer_key(identity, decoding, "2", prompt),
        answer_key(identity, decoding, "1", Prompt("s", "v")),
        answer_key(identity, decoding, "1", Prompt("t", "u")),
    ]
    assert len({base, *others}) == 8
    assert answer_key(dict(identity), replace(decoding), "1", Prompt("s", "u")) == base


class Scripted:
    """Answers by the number of times that a prompt came."""

    def __init__(self, script: Callable[[str, int], Answer]) -> None:
        self.script, self.asked = script, list[tuple[str, Decoding]]()

    def identity(self) -> dict[str, Any]:
        return {"backend": "scripted"}

    def check(self) -> None:
        """It can always be asked."""

    def complete(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, Answer]]:
        for place in reversed(range(len(prompts))):
            text = prompts[place].user
            before = sum(one == text for one, _ in self.asked)
            self.asked.append((text, decoding))
            yield place, self.script(text, before)


def questions(count: int) -> list[Question[str]]:
    def read(text: str) -> str | None:
        return text if text.startswith("yes") else None

    return [Question(k, Prompt("s", f"prompt {k}"), "h", 10, read) for k in range(count)]


def nobody(count: int) -> None:
    raise AssertionError("nothing is lost")


def test_bad_answers_are_asked_for_again_otherwise_and_counted() -> None:
    backend = Scripted(lambda text, before: Answer(f"yes {text}" if before == 2 else "no", 4, 2, 1.0, 1))
    asker = Asker(backend, LLMOptions(tries=3), "1")
    assert asker.ask(questions(3), nobody) == [f"yes prompt {k}" for k in range(3)]
    drawn = [decoding for text, decoding in backend.asked if text == "prompt 1"]
    assert [(one.temperature, one.seed) for one in drawn] == [(0.0, 0), (0.3, 1), (0.3, 2)]
    account = asker.account
    assert (account.calls, account.retries, account.cached) == (9, 9, 0)
    assert (account.tokens_in, account.tokens_out, account.seconds) == (36, 18, 9.0)


def test_what_stays_without_an_answer_is_said() -> None:
    def script(text: str, before: int) -> Answer:
        if text == "prompt 0":
            return Answer("", 0, 0, 0.0, lost="no server")
        return Answer("no" if text == "prompt 1" else "yes", 1, 1, 1.0)

    told: list[int] = []
    backend = Scripted(script)
    assert Asker(backend, LLMOptions(tries=4), "1").ask(questions(3), told.append) == [None, None, "yes"]
    assert told == [1, 2]
    assert sum(text == "prompt 0" for text, _ in backend.asked) == 1, "the backend has called again itself"
    assert sum(text == "prompt 1" for text, _ in backend.asked) == 4


def test_answers_are_found_again_and_cost_what_they_cost(tmp_path: Path) -> None:
    def script(text: str, before: int) -> Answer:
        return Answer(f"yes {text}", 7, 3, 2.0)

    first, second = Scripted(script), Scripted(script)
    options = LLMOptions(price_in=2.0, price_out=10.0)
    askers = [Asker(backend, options, "1", KeptAnswers(tmp_path)) for backend in (first, second)]
    assert askers[0].ask(questions(3), nobody) == askers[1].ask(questions(3), nobody)
    assert (len(first.asked), len(second.asked)) == (3, 0)
    accounts = [asker.account for asker in askers]
    assert accounts[1] == replace(accounts[0], cached=3)
    assert askers[1].money() == pytest.approx((21 * 2.0 + 9 * 10.0) / 1e6)
    off = Scripted(script)
    Asker(off, replace(options, replay="off"), "1", KeptAnswers(tmp_path)).ask(questions(3), nobody)
    assert len(off.asked) == 3


def test_replay_only_refuses_what_is_not_kept(tmp_path: Path) -> None:
    backend = Scripted(lambda text, before: Answer("yes", 1, 1, 1.0))
    Asker(backend, LLMOptions(), "1", KeptAnswers(tmp_path)).ask(questions(2), nobody)
    replay = Asker(backend, LLMOptions(replay="only"), "1", KeptAnswers(tmp_path))
    assert replay.ask(questions(2), nobody) == ["yes", "yes"]
    with pytest.raises(LLMError, match=r"replay=only finds 1 answers that are not kept"):
        replay.ask(questions(3), nobody)
    assert len(backend.asked) == 2


def test_no_price_no_money() -> None:
    asker = Asker(Scripted(lambda text, before: Answer("yes", 1, 1, 1.0)), LLMOptions(price_in=1.0), "1")
    asker.ask(questions(1), nobody)
    assert asker.money() is None
