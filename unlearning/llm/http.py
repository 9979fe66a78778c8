"""Any server that speaks OpenAI's chat completions: hosted ones, vLLM, llama.cpp, Ollama.

HTTPX carries the calls: of the protocol only one call is needed, and retries, waiting and counting are to be
seen here and driven by a test's clock.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from datasets.errors import InputError
from unlearning.llm.answers import Answer, Decoding, LLMError, Prompt
from unlearning.llm.options import LLMOptions

AGAIN = (408, 409, 429)
"""Answers of a server after which it is worth asking again, beside 5xx."""
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before the first retry, doubled for each further one; no wait is longer, whatever a server asks
for."""


class HTTPBackend:
    """Calls a server.

    Args:
        options: where it is and how it is asked.
        sleep: waits between retries.
        clock: seconds, for how long a call took.
    """

    def __init__(
        self,
        options: LLMOptions,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._options, self._sleep, self._clock = options, sleep, clock
        self._random = random.Random(options.seed)
        self._refused = threading.Event()

    def identity(self) -> dict[str, Any]:
        """The model by its name; the same model on another server gives the same answers."""
        return {"backend": "http", "model": self._options.model, "json_mode": self._options.json_mode}

    def check(self) -> None:
        """Raise ``InputError`` for a missing model name, address or key."""
        options = self._options
        if not options.model:
            raise InputError("method.llm.model is not set: give the name of a model on the server.")
        if not options.base_url.startswith(("http://", "https://")):
            raise InputError(
                f"method.llm.base_url={options.base_url} is no address: write http://<host>:<port>/v1."
            )
        if options.api_key_env is not None and not os.environ.get(options.api_key_env):
            raise InputError(
                f"method.llm.api_key_env={options.api_key_env} names an environment variable that is not "
                "set: set it to the key, or the option to null where the server needs none."
            )

    def complete(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, Answer]]:
        """See ``Backend``. A call that stays lost gives an answer that says so; a refused one ends them
        all."""
        headers = {}
        if self._options.api_key_env is not None:
            headers["Authorization"] = f"Bearer {os.environ[self._options.api_key_env]}"
        with (
            httpx.Client(timeout=self._options.timeout, headers=headers) as client,
            ThreadPoolExecutor(self._options.parallel) as pool,
        ):
            calls = {
                pool.submit(self._one, client, prompt, decoding): place
                for place, prompt in enumerate(prompts)
            }
            try:
                for done in as_completed(calls):
                    yield calls[done], done.result()
            finally:
                for call in calls:
                    call.cancel()

    def _one(self, client: httpx.Client, prompt: Prompt, decoding: Decoding) -> Answer:
        why = "another call was refused"
        for retry in range(self._options.retries + 1):
            if self._refused.is_set():
                break
            began, asked = self._clock(), ""
            try:
                response = client.post(
                    f"{self._options.base_url}/chat/completions", json=self._body(prompt, decoding)
                )
                if response.status_code < 400:
                    return self._read(response, self._clock() - began, retry)
                why = f"it answered {response.status_code}"
                if response.status_code not in AGAIN and response.status_code < 500:
                    self._refused.set()
                    raise LLMError(self._refusal(response))
                asked = response.headers.get("Retry-After", "")
            except (
                httpx.TransportError,
                ValueError,
            ) as error:  # ValueError: JSON that is cut or of another form
                why = type(error).__name__
            if retry < self._options.retries:
                self._sleep(self._wait(retry, asked))
        return Answer("", 0, 0, 0.0, self._options.retries, lost=f"{self._options.base_url}: {why}")

    def _body(self, prompt: Prompt, decoding: Decoding) -> dict[str, Any]:
        body: dict[str, Any] = {
            "model": self._options.model,
            "messages": prompt.messages(),
            "temperature": decoding.temperature,
            "seed": decoding.seed,
            "max_tokens": decoding.max_new_tokens,
        }
        return body | ({"response_format": {"type": "json_object"}} if self._options.json_mode else {})

    def _read(self, response: httpx.Response, seconds: float, retries: int) -> Answer:
        """The answer in a response. Raises ``ValueError`` where it is of another form."""
        content = response.json()
        try:
            text = content["choices"][0]["message"]["content"] or ""
            used = content.get("usage") or {}
            tokens = int(used.get("prompt_tokens") or 0), int(used.get("completion_tokens") or 0)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ValueError("no chat completion") from error
        return Answer(str(text), *tokens, seconds, retries)

    def _refusal(self, response: httpx.Response) -> str:
        """One sentence about an answer 4xx; what the server writes is left out, it may repeat the prompt."""
        meaning = {
            401: "the key is not accepted",
            403: "the key may not do this",
            404: "there is no such model",
        }
        why = meaning.get(response.status_code, "it does not take such a call")
        return (
            f"{self._options.base_url} answered {response.status_code} for the model {self._options.model}: "
            f"{why}; see method.llm.base_url, method.llm.model and method.llm.api_key_env."
        )

    def _wait(self, retry: int, asked: str) -> float:
        """Seconds before the next call: what the server asks for, else twice as long each time, with
        jitter."""
        wanted = _seconds(asked)
        if wanted is not None:
            return min(wanted, LONGEST_WAIT)
        return float(min(FIRST_WAIT * 2**retry, LONGEST_WAIT) * (0.5 + self._random.random() / 2))


def _seconds(retry_after: str) -> float | None:
    """The header ``Retry-After``, in seconds or as a date; None where it says nothing."""
    try:
        return max(float(retry_after), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(retry_after) - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None
