"""Asking a backend about users: kept answers first, bad answers again, and an account of what it took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from unlearning.llm.answers import Answer, Backend, Decoding, LLMError, Prompt
from unlearning.llm.kept import KeptAnswers, answer_key
from unlearning.llm.options import LLMOptions

T = TypeVar("T")


@dataclass(frozen=True)
class Question(Generic[T]):
    """What is asked about a user; ``read`` makes sense of an answer, or gives None where there is none in it.

    ``history`` is the digest of what the prompt was written from.
    """

    user: int
    prompt: Prompt
    history: str
    max_new_tokens: int
    read: Callable[[str], T | None]


@dataclass
class Account:
    """What asking took so far, kept answers at what they took when they were given."""

    calls: int = 0
    """Answers asked for, of these ``cached`` found again."""
    retries: int = 0
    cached: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    lost: str = ""
    """Why the last lost call was lost."""

    def add(self, answer: Answer) -> None:
        """Count one answer."""
        self.calls += 1
        self.retries += answer.retries
        self.cached += answer.cached
        self.tokens_in += answer.tokens_in
        self.tokens_out += answer.tokens_out
        self.seconds += answer.seconds
        self.lost = answer.lost or self.lost


class Asker:
    """Asks one backend.

    Args:
        template: version of the prompts' wording, part of every key.
        kept: where answers are kept; None: nowhere.
    """

    def __init__(
        self, backend: Backend, options: LLMOptions, template: str, kept: KeptAnswers | None = None
    ) -> None:
        self._backend, self._options, self._template = backend, options, template
        self._kept = None if options.replay == "off" else kept
        self._identity: Mapping[str, object] | None = None
        self.account = Account()

    def money(self) -> float | None:
        """What it took so far at the prices of the options; None where they are not known."""
        options, account = self._options, self.account
        if options.price_in is None or options.price_out is None:
            return None
        return (account.tokens_in * options.price_in + account.tokens_out * options.price_out) / 1e6

    def ask(self, questions: Sequence[Question[T]], give_up: Callable[[int], None]) -> list[T | None]:
        """What was read from the answers; None where no try gave any.

        Args:
            give_up: told the number of questions that stay without an answer as soon as there are any; it
                raises where these are too many.

        Raises:
            LLMError: where the backend cannot be asked, or ``replay=only`` finds an answer that is not kept.
        """
        found: list[T | None] = [None] * len(questions)
        open_, lost = list(range(len(questions))), 0
        for attempt in range(self._options.tries):
            still = []
            for place, answer in self._try(questions, open_, attempt):
                self.account.add(answer)
                if answer.lost:  # the backend has already called again
                    lost += 1
                    give_up(lost)
                    continue
                found[place] = questions[place].read(answer.text)
                if found[place] is None:
                    still.append(place)
            open_ = sorted(still)
        if lost + len(open_):
            give_up(lost + len(open_))
        return found

    def _try(
        self, questions: Sequence[Question[T]], places: Sequence[int], attempt: int
    ) -> Iterator[tuple[int, Answer]]:
        """One answer to each of the questions at ``places``, as they come."""
        by_length: dict[int, list[int]] = {}
        for place in places:
            by_length.setdefault(questions[place].max_new_tokens, []).append(place)
        options = self._options
        temperature = options.retry_temperature if attempt else options.temperature
        for length, own in by_length.items():
            yield from self._answers(questions, own, Decoding(temperature, options.seed + attempt, length))

    def _answers(
        self, questions: Sequence[Question[T]], places: Sequence[int], decoding: Decoding
    ) -> Iterator[tuple[int, Answer]]:
        keys = {place: self._key(questions[place], decoding) for place in places}
        missing = []
        for place in places:
            kept = self._kept.find(questions[place].user, keys[place]) if self._kept else None
            if kept is None:
                missing.append(place)
            else:
                yield place, kept
        if missing and self._options.replay == "only":
            raise LLMError(
                f"method.llm.replay=only finds {len(missing)} answers that are not kept: set it to on to ask "
                "for them."
            )
        for at, answer in self._backend.complete([questions[place].prompt for place in missing], decoding):
            place = missing[at]
            if self._kept is not None:
                self._kept.keep(questions[place].user, keys[place], questions[place].history, answer)
            yield place, answer

    def _key(self, question: Question[T], decoding: Decoding) -> str:
        if self._identity is None:
            self._identity = self._backend.identity()
        return answer_key(self._identity, decoding, self._template, question.prompt)
