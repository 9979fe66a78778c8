"""Best and second among the methods of a setting, compared on the requests and seeds that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.measure.marks import Goal, Mark, losses
from bench.measure.marks import marks as marks_of
from bench.record.names import SPEEDUP
from results.distance.gaps import gaps_by_at, mean_gaps
from results.runs.at import At, Key
from results.runs.groups import Group, gold_for
from results.tables.speed_up import may_be_marked


def marks(setting: Sequence[Group], metric: str, goal: Goal | None) -> dict[int, Mark]:
    """``best`` or ``second`` by position in ``setting``, all rows of one setting; ties share a mark.

    With ``gold`` as the goal the smallest gap to gold is best: each value is held against the mean of the
    gold models of its request. One method alone is not marked: there is nothing to be better than. Without a
    goal nothing is.
    """
    if goal is None:
        return {}
    found = {
        index: compared_by(group, gold_for(group, setting), metric, goal)
        for index, group in enumerate(setting)
        if group.is_ranked and (metric != SPEEDUP or may_be_marked(group, setting))
    }
    return best_and_second(found, goal)


def compared_by(group: Group, gold: Group | None, metric: str, goal: Goal) -> Mapping[At, float]:
    """What a row is compared by: its values, or with gold as the goal its gaps to gold."""
    return gaps_by_at(group, gold, metric) if goal == "gold" else group.values(metric)


def best_and_second(found: Mapping[Key, Mapping[At, float]], goal: Goal) -> dict[Key, Mark]:
    """Marks of what rows are compared by, over the requests and seeds that all of them have."""
    return marks_of(losses(mean_gaps(found), goal, 0.0))


def lacking(group: Group, setting: Sequence[Group], metric: str) -> tuple[int, int] | None:
    """Of how many requests and seeds a row has the metric, out of how many; None where it has all.

    All are the row's own and, for a method, those that any method of the setting has.
    """
    every = set(group.ats)
    if not group.is_reference:
        every |= {at for one in setting if not one.is_reference for at in one.ats}
    having = len(group.values(metric))
    return None if having == len(every) else (having, len(every))
