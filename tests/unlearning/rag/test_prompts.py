"""Prompts hold what they should and fit; answers are read whatever a model writes around them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from datasets.item_text import NOTHING, ItemText
from unlearning.rag.prompts import SYSTEM, estimated_tokens, scores_in, written

HISTORY = [ItemText(f"bought {k}", "brand", ("shop", f"kind {k}")) for k in range(6)]
OFFERED = [ItemText(f"offered {k}", categories=("shop", "kind")) for k in range(4)]


def test_a_prompt_lists_history_and_numbered_candidates() -> None:
    prompt = written(HISTORY, OFFERED, 24, 4096)
    assert "- bought 0 (kind 0, brand)\n- bought 1 (kind 1, brand)" in prompt.user
    assert "1: offered 0 (kind)\n2: offered 1 (kind)" in prompt.user
    assert "from 1 to 4" in prompt.user
    assert prompt.messages()[0] == {"role": "system", "content": SYSTEM}
    assert '{"1": score' in prompt.user


def test_the_history_is_cut_to_fit_and_the_candidates_never_are() -> None:
    whole = written(HISTORY, OFFERED, 24, 4096)
    most = estimated_tokens(whole.system + whole.user) - 1
    shorter = written(HISTORY, OFFERED, 24, most)
    assert "bought 4" in shorter.user
    assert "bought 5" not in shorter.user
    tiny = written(HISTORY, OFFERED, 24, 1)
    assert "bought" not in tiny.user.replace("customer bought", "")
    assert all(f"offered {k}" in tiny.user for k in range(4))


def test_long_fields_are_cut_at_a_word_and_nothing_breaks_a_line() -> None:
    text = ItemText("word " * 100, "brand\nwith\nlines", ("a",))
    line = next(
        one for one in written([text], OFFERED, 4, 4096).user.splitlines() if one.startswith("- word")
    )
    assert line == "- word word word (a, brand with lines)"
    assert "(no description)" in written([NOTHING], OFFERED, 4, 4096).user


@pytest.mark.parametrize(
    ("answer", "scores"),
    [
        ('{"1": 10, "2": 20, "3": 30}', [10, 20, 30]),
        ('Here you are:\n```json\n{"3": 30, "1": 10, "2": 20}\n```\nEnjoy!', [10, 20, 30]),
        ('{"1": 1, "2": 1, "3": 1} no, rather {"1": 10, "2": 20, "3": 30}', [10, 20, 30]),
        ('{"scores": {"1": 10, "2": "20", "3": 30.0}}', [10, 20, 30]),
        ('{"1": -5, "2": 1000, "3": 50}', [1, 100, 50]),
        ('{"1": 10, "1": 90, "2": 20, "3": 30}', [10, 20, 30]),
        ('{"1": 10, "2": 20, "3": 30, "4": 99, "x": 1, "0": 5}', [10, 20, 30]),
    ],
)
def test_answers_that_can_be_read(answer: str, scores: list[float]) -> None:
    found = scores_in(answer, 3)
    assert found is not None
    assert found.tolist() == scores


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "I would not know.",
        '{"1": 10, "2": 20, "3"',
        '{"1": 10, "2": 20}',
        '{"1": null, "2": true, "3": "high"}',
        '{"1": NaN, "2": Infinity, "3": 1}',
        "[10, 20, 30]",
        "{}",
        "}{",
    ],
)
def test_answers_that_cannot(answer: str) -> None:
    assert scores_in(answer, 3) is None


def test_a_tenth_may_be_missing_and_gets_the_mean() -> None:
    given = {str(k): 10 * (k % 2 + 1) for k in range(1, 21)}
    del given["7"], given["8"]
    found = scores_in(json.dumps(given), 20)
    assert found is not None
    assert found[6] == found[7] == np.mean(list(given.values()))
    del given["9"]
    assert scores_in(json.dumps(given), 20) is None
