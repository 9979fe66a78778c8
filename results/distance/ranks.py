"""Mean ranks of methods over settings by closeness to gold, with the tests of Friedman and Nemenyi.

In each setting the methods are ranked by their closeness score (``results.distance.closeness``), formed over
the requests and seeds that they share. A method without a score in a setting shares the last rank there, and
the table counts how often. Friedman's test asks whether the mean ranks differ at all; two methods differ
where their mean ranks are further apart than Nemenyi's critical difference (Demsar, Journal of Machine
Learning Research 7, 2006). The settings are the blocks: requests and seeds are averaged before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from results.distance.closeness import Closeness, scores, unscored
from results.runs.groups import Group, by_setting, gold_for

if TYPE_CHECKING:
    import pandas as pd

LEVEL = 0.05
FEWEST_METHODS, FEWEST_SETTINGS = 3, 2
"""Below these there is nothing to test."""

Setting = tuple[str, ...]


@dataclass(frozen=True)
class Ranks:
    """Scores and ranks of every method in every setting that has scores.

    Attributes:
        scores: by setting and name of the method, its score; a method that was not run there is not in it.
        unscored: settings without a score, and why.
        parts: by setting, what its scores lack, and why.
    """

    scores: Mapping[Setting, Mapping[str, Closeness]]
    unscored: Mapping[Setting, str]
    parts: Mapping[Setting, Mapping[str, str]]

    @cached_property
    def methods(self) -> list[str]:
        """Names by mean rank, the best first."""
        names = sorted({name for own in self.scores.values() for name in own})
        return sorted(names, key=lambda name: (self._mean_ranks(names)[name], name))

    @property
    def mean_ranks(self) -> dict[str, float]:
        """Mean rank by name, the best first."""
        return {name: self._mean_ranks(self.methods)[name] for name in self.methods}

    def missing(self, name: str) -> int:
        """In how many settings a method has no score."""
        return sum(self.value(setting, name) is None for setting in self.scores)

    def value(self, setting: Setting, name: str) -> float | None:
        """The score of a method in a setting."""
        found = self.scores[setting].get(name)
        return None if found is None else found.value

    def mean_score(self, name: str) -> float | None:
        """Mean of the scores that a method has."""
        known = [value for setting in self.scores if (value := self.value(setting, name)) is not None]
        return float(np.mean(known)) if known else None

    @property
    def can_be_tested(self) -> bool:
        """Whether there are enough methods and settings for the tests."""
        return len(self.methods) >= FEWEST_METHODS and len(self.scores) >= FEWEST_SETTINGS

    @property
    def friedman(self) -> float | None:
        """p of Friedman's test that all methods are ranked alike; None where it cannot be tested."""
        if not self.can_be_tested:
            return None
        table = self.table()
        if (table.nunique(axis=1) == 1).all():
            return 1.0
        return float(stats.friedmanchisquare(*(table[name] for name in table)).pvalue)

    @property
    def critical_difference(self) -> float | None:
        """Nemenyi's critical difference of mean ranks at ``LEVEL``; None where it cannot be tested."""
        if not self.can_be_tested:
            return None
        count = len(self.methods)
        quantile = float(stats.studentized_range.ppf(1 - LEVEL, count, np.inf)) / np.sqrt(2)
        return float(quantile * np.sqrt(count * (count + 1) / (6 * len(self.scores))))

    def nemenyi(self) -> pd.DataFrame:
        """p of every pair of methods. Needs ``can_be_tested``."""
        from scikit_posthocs import posthoc_nemenyi_friedman

        found: pd.DataFrame = posthoc_nemenyi_friedman(self.table())
        return found

    def table(self) -> pd.DataFrame:
        """Ranks, a row per setting and a column per method."""
        import pandas as pd

        rows = [self._ranks(setting, self.methods) for setting in self.scores]
        return pd.DataFrame(rows, index=["/".join(setting) for setting in self.scores], columns=self.methods)

    def _mean_ranks(self, names: list[str]) -> dict[str, float]:
        every = [self._ranks(setting, names) for setting in self.scores]
        return dict(zip(names, map(float, np.mean(every, axis=0)), strict=True)) if every else {}

    def _ranks(self, setting: Setting, names: list[str]) -> list[float]:
        """Ranks from 1 (closest), ties shared; those without a score share the last places."""
        values = [self.value(setting, name) for name in names]
        worst = max((value for value in values if value is not None), default=0.0) + 1.0
        return [float(rank) for rank in stats.rankdata([worst if v is None else v for v in values])]


def ranks(rows: Iterable[Group]) -> Ranks:
    """Ranks from the rows of a store: methods with their default options, and tuned ones by that name."""
    found: dict[Setting, dict[str, Closeness]] = {}
    without: dict[Setting, str] = {}
    parts: dict[Setting, dict[str, str]] = {}
    for setting, groups in _settings(rows).items():
        named = {name: group for group in groups if (name := entry_name(group)) is not None}
        if not named:
            continue
        own = scores(named, groups)
        lacking = unscored(gold_for(next(iter(named.values())), groups))
        if any(score.value is not None for score in own.values()):
            found[setting], parts[setting] = own, lacking
        else:
            without[setting] = "; ".join(f"{name}: {why}" for name, why in lacking.items()) or "no score"
    return Ranks(found, without, parts)


def entry_name(group: Group) -> str | None:
    """Under which name a row is ranked; None for references, and for options that are one's own choice."""
    if not group.is_ranked:
        return None
    if group.is_tuned:
        return f"{group.method} ({group.tuned_by or 'tuned'})"
    return None if group.method_options else group.method


def method_of(name: str) -> str:
    """The method under whose name a row is ranked."""
    return name.partition(" (")[0]


def _settings(rows: Iterable[Group]) -> dict[Setting, list[Group]]:
    """Rows by setting; other data, another backbone or another training make another setting."""
    found: dict[Setting, list[Group]] = {}
    for labels, groups in by_setting(rows).items():
        for group in groups:
            own = group.other_options
            found.setdefault((*labels, own) if own else labels, []).append(group)
    return found
