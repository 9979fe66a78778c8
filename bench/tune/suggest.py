"""Suggesting what to try next: Optuna behind two calls, seeded, so that a tune can be replayed.

The first suggestion is the method's defaults. Then Optuna's sampler decides: ``tpe`` (tree-structured
Parzen estimator; Bergstra et al., NeurIPS 2011) but for suggestions that shall explore, which are random, or
``random``. The sequence depends on the seed, on the losses told and on which suggestions explore, so that a
killed tune replays what it had.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from bench.config.space import SearchOption, Space

SamplerName = Literal["tpe", "random"]
DIGITS = 4
"""Significant digits of a suggested number: what is tried, logged and written is the same number."""


class Suggester:
    """Suggestions for one tune.

    Args:
        space: what varies.
        defaults: the method's value of every option in ``space``; they need not lie in its range.
        sampler: ``tpe`` or ``random``.
        seed: of the sampler.
    """

    def __init__(self, space: Space, defaults: Mapping[str, Any], sampler: SamplerName, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._random = optuna.samplers.RandomSampler(seed=seed)
        self._sampler = (
            self._random
            if sampler == "random"
            else optuna.samplers.TPESampler(n_startup_trials=1, seed=seed)  # the defaults are told first
        )
        self._study = optuna.create_study(direction="minimize", sampler=self._sampler)
        self._space = space
        self._defaults = dict(defaults)
        self._distributions = {option: _distribution(searched) for option, searched in space.items()}
        self._asked: optuna.trial.Trial | None = None
        self._count = 0

    def ask(self, explore: bool = False) -> dict[str, Any]:
        """The next values, by option, drawn at random where they shall ``explore``; ``tell`` must follow."""
        if self._count == 0:
            return dict(self._defaults)
        self._study.sampler = self._random if explore else self._sampler
        self._asked = self._study.ask(self._distributions)
        return {option: _rounded(value, self._space[option]) for option, value in self._asked.params.items()}

    def tell(self, loss: float) -> None:
        """The loss of what ``ask`` gave; less is better."""
        if self._asked is None:
            self._study.add_trial(self._default_trial(loss))
        else:
            self._study.tell(self._asked, loss)
        self._asked, self._count = None, self._count + 1

    def _default_trial(self, loss: float) -> optuna.trial.FrozenTrial:
        """The defaults as far as they lie in their ranges: a null, for one, is no number to learn from."""
        inside = {
            option: value for option, value in self._defaults.items() if _contains(self._space[option], value)
        }
        distributions = {option: self._distributions[option] for option in inside}
        return optuna.trial.create_trial(params=inside, distributions=distributions, value=loss)


def _distribution(searched: SearchOption) -> BaseDistribution:
    if searched.kind == "choice":
        return CategoricalDistribution(searched.values)
    low, high = searched.ends()
    if searched.kind == "int":
        return IntDistribution(low, high)
    return FloatDistribution(low, high, log=searched.kind == "log")


def _contains(searched: SearchOption, value: Any) -> bool:
    if searched.kind == "choice":
        return value in searched.values
    low, high = searched.ends()
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def _rounded(value: Any, searched: SearchOption) -> Any:
    if searched.kind not in ("float", "log"):
        return value
    low, high = searched.ends()
    return min(max(float(f"{value:.{DIGITS}g}"), low), high)
