"""What figures are drawn from: groups of runs, and the curves and arrays behind them, read when needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from results.names.styles import Style, styles
from results.names.titles import TITLES
from results.runs.groups import Group, by_setting, gold_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Points = Callable[[str], Sequence[Mapping[str, float]]]
Steps = Callable[[str, str], Sequence[tuple[int, float]]]
Arrays = Callable[[str], "Mapping[str, NDArray[np.generic]]"]


def _nothing(run_id: str) -> Any:
    return []


def _no_steps(run_id: str, metric: str) -> Any:
    return []


def _no_arrays(run_id: str) -> Any:
    return {}


@dataclass(frozen=True)
class Source:
    """The content of a store.

    ``trajectory``, ``gold_curve`` and ``arrays`` read by run id: points of unlearning, points of gold's
    training, arrays of the audits; ``steps`` reads a metric of a run by step. ``fixed`` are overrides that a
    command needs to record into the store.
    """

    groups: tuple[Group, ...]
    trajectory: Points = _nothing
    gold_curve: Points = _nothing
    arrays: Arrays = _no_arrays
    steps: Steps = _no_steps
    fixed: tuple[str, ...] = field(default=())

    @property
    def settings(self) -> dict[tuple[str, ...], list[Group]]:
        """Groups by (dataset, backbone, regime)."""
        return by_setting(self.groups)

    @property
    def defaults(self) -> dict[tuple[str, ...], list[Group]]:
        """By setting, one group per method: the one with default options, else the method's first."""
        found: dict[tuple[str, ...], list[Group]] = {}
        for setting, groups in self.settings.items():
            by_method: dict[str, Group] = {}
            for group in sorted(groups, key=lambda group: not group.is_reference):  # defaults come first
                by_method.setdefault(group.method, group)
            found[setting] = list(by_method.values())
        return found

    @property
    def styles(self) -> dict[str, Style]:
        """The look of every method."""
        return styles(group.method for group in self.groups)

    def gold(self, setting: tuple[str, ...]) -> Group | None:
        """Gold of a setting."""
        return gold_of(self.settings.get(setting, ()))


def from_store(uri: str, experiment: str) -> Source:
    """The source of an MLflow experiment; empty where it does not exist."""
    from results.distance.rows import rows

    fixed = (f"tracking.uri={uri}", f"tracking.experiment={experiment}")
    return Source(tuple(rows(uri, experiment)), **readers(uri), fixed=fixed)


def readers(uri: str) -> dict[str, Any]:
    """What reads curves and arrays of a store, by the field of ``Source``."""
    from results.runs.artifacts import audit_arrays, over_steps, training_curve, trajectory

    return {
        "trajectory": partial(trajectory, uri),
        "gold_curve": partial(training_curve, uri, role="gold"),
        "arrays": partial(audit_arrays, uri),
        "steps": partial(over_steps, uri),
    }


def title(name: str) -> str:
    """The printed form of a label."""
    return TITLES.get(name, name)


def setting_title(setting: Sequence[str]) -> str:
    """The printed form of a setting."""
    return ", ".join(title(label) for label in setting)
