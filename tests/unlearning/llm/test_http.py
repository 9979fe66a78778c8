"""Calling a server that answers, delays, drops, refuses and cuts: nothing is lost, everything is counted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from datasets.errors import InputError
from tests.unlearning.llm.server import Reply, Script, Server, serving
from unlearning.llm.answers import Answer, Decoding, LLMError, Prompt
from unlearning.llm.http import FIRST_WAIT, LONGEST_WAIT, HTTPBackend
from unlearning.llm.options import LLMOptions

PROMPTS = [Prompt("system", f"secret {k}") for k in range(5)]
GREEDY = Decoding(0.0, 7, 40)


def asked(server: Server, waits: list[float], **options: object) -> list[Answer]:
    """Answers to the prompts in their order."""
    backend = HTTPBackend(server.options(**options), waits.append)
    backend.check()
    return [answer for _, answer in sorted(backend.complete(PROMPTS, GREEDY), key=lambda pair: pair[0])]


def echo(call: dict[str, object], _: int) -> Reply:
    messages: list[dict[str, str]] = call["messages"]  # type: ignore[assignment]
    return Reply(f"answer to {messages[1]['content']}")


@pytest.mark.parametrize("parallel", [1, 4])
def test_every_prompt_gets_its_own_answer(parallel: int) -> None:
    with serving(echo) as server:
        answers = asked(server, [], parallel=parallel)
    assert [answer.text for answer in answers] == [f"answer to secret {k}" for k in range(5)]
    assert all((a.tokens_in, a.tokens_out, a.retries, a.lost) == (100, 20, 0, "") for a in answers)
    assert all(answer.seconds > 0 for answer in answers)
    call = server.calls[0]
    assert call["path"] == "/v1/chat/completions"
    assert (call["model"], call["temperature"], call["seed"], call["max_tokens"]) == ("tiny", 0.0, 7, 40)
    assert "response_format" not in call


FIRST_TIME: dict[str, Reply] = {
    "a dropped connection": Reply(drop=True),
    "too many requests": Reply(status=429),
    "a broken server": Reply(status=503),
    "half an answer": Reply("x" * 50, cut=True),
    "JSON that is cut": Reply(raw='{"choices": [{"mess'),
    "JSON of another form": Reply(raw='{"error": "secret"}'),
    "a list": Reply(raw="[]"),
}


@pytest.mark.parametrize("first", FIRST_TIME.values(), ids=FIRST_TIME.keys())
def test_what_fails_once_is_asked_again(first: Reply) -> None:
    waits: list[float] = []
    with serving(lambda call, before: echo(call, before) if before else first) as server:
        answers = asked(server, waits)
    assert [answer.text for answer in answers] == [f"answer to secret {k}" for k in range(5)]
    assert [answer.retries for answer in answers] == [1] * 5
    assert len(server.calls) == 10
    assert len(waits) == 5
    assert all(FIRST_WAIT / 2 <= wait <= FIRST_WAIT for wait in waits)


def test_a_call_that_hangs_is_asked_again() -> None:
    with serving(lambda call, before: echo(call, before) if before else Reply(hang=True)) as server:
        answers = asked(server, [], timeout=0.2, parallel=5)
    assert [answer.retries for answer in answers] == [1] * 5
    assert not any(answer.lost for answer in answers)


def test_the_server_says_how_long_to_wait() -> None:
    waits: list[float] = []
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    said = ["3", "0.5", "100000", date, "soon"]

    def script(call: dict[str, object], before: int) -> Reply:
        if before:
            return echo(call, before)
        return Reply(status=429, headers={"Retry-After": said[len(waits)]})

    with serving(script) as server:
        asked(server, waits)
    assert waits[:3] == [3.0, 0.5, LONGEST_WAIT]
    assert 0 < waits[3] <= 30
    assert FIRST_WAIT / 2 <= waits[4] <= FIRST_WAIT


def test_waits_double_and_then_the_call_is_lost() -> None:
    waits: list[float] = []
    with serving(lambda *_: Reply(status=500)) as server:
        answers = asked(server, waits, retries=4)
    assert all(answer.lost and not answer.text for answer in answers)
    assert "it answered 500" in answers[0].lost
    assert len(server.calls) == 25
    for retry, wait in enumerate(waits[:4]):
        assert FIRST_WAIT * 2**retry / 2 <= wait <= FIRST_WAIT * 2**retry


@pytest.mark.parametrize("status", [400, 401, 404])
def test_a_refusal_ends_it_at_once_in_one_sentence_without_the_prompt(status: int) -> None:
    waits: list[float] = []
    script: Script = lambda *_: Reply(status=status, raw='{"error": "secret 0"}')  # noqa: E731
    with serving(script) as server, pytest.raises(LLMError, match=f"answered {status}") as error:
        asked(server, waits)
    assert "secret" not in str(error.value)
    assert waits == []
    assert len(server.calls) == 1


def test_the_key_comes_from_the_environment_and_is_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TINY_KEY", "sk-12345")
    with serving(echo) as server:
        asked(server, [], api_key_env="TINY_KEY")
    assert {headers["Authorization"] for headers in server.headers} == {"Bearer sk-12345"}
    backend = HTTPBackend(server.options(api_key_env="TINY_KEY"))
    assert "sk-12345" not in str(backend.identity())
    assert "127.0.0.1" not in str(backend.identity())


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"model": ""}, r"method\.llm\.model is not set"),
        ({"model": "m", "base_url": "localhost"}, r"method\.llm\.base_url=localhost is no address"),
        ({"model": "m", "api_key_env": "NOT_SET_HERE"}, "NOT_SET_HERE names an environment variable"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_anything_starts(
    options: dict[str, str], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        HTTPBackend(LLMOptions(**options)).check()  # type: ignore[arg-type]
