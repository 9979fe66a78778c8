"""What every backend gives, and how it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Prompt:
    """One call: what the model is told it is, and what it is asked."""

    system: str
    user: str

    def messages(self) -> list[dict[str, str]]:
        """As chat interfaces take it."""
        return [{"role": "system", "content": self.system}, {"role": "user", "content": self.user}]


@dataclass(frozen=True)
class Decoding:
    """How an answer is drawn: 0 is greedy; at most so many tokens."""

    temperature: float
    seed: int
    max_new_tokens: int


@dataclass(frozen=True)
class Answer:
    """``seconds`` from the call to its answer, waiting between retries apart; of one found again, as
    recorded.

    ``lost`` is half a sentence where no answer came; ``text`` is then empty.
    """

    text: str
    tokens_in: int
    tokens_out: int
    seconds: float
    retries: int = 0
    cached: bool = False
    lost: str = ""


class LLMError(RuntimeError):
    """A language model cannot be asked at all: one sentence that says why and what to change. Never a
    prompt."""


class Backend(Protocol):
    """A language model."""

    def identity(self) -> dict[str, Any]:
        """What determines its answers, JSON-able; no key, no address of a machine."""

    def check(self) -> None:
        """Raise ``InputError`` where it cannot be asked; runs before any training and asks nothing."""

    def complete(self, prompts: Sequence[Prompt], decoding: Decoding) -> Iterator[tuple[int, Answer]]:
        """Answers with the positions of their prompts, as they come. Raises ``LLMError``."""
