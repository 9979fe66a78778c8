"""What tuning varies: the search space of a method, as data in ``conf/search/<method>.yaml``.

A file maps options of the method to a kind and a range: ``float`` and ``int`` between ``low`` and
``high``, ``log`` likewise on a logarithmic scale, ``choice`` among ``values``. A method without such a
file has nothing to tune. No torch in here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from bench.config.schema import build
from bench.config.source import options_of
from bench.config.tuned import search_file
from datasets.errors import InputError, choices


@dataclass(frozen=True)
class SearchOption:
    """The range of one option; both ends are included."""

    kind: Literal["float", "log", "int", "choice"]
    low: float | None = None
    high: float | None = None
    values: tuple[bool | int | float | str | None, ...] = ()
    """Of kind ``choice`` only."""

    def ends(self) -> tuple[Any, ...]:
        """The values that must be valid for every value to be: both ends, or all choices."""
        if self.kind == "choice":
            return self.values
        assert self.low is not None
        assert self.high is not None
        return (int(self.low), int(self.high)) if self.kind == "int" else (self.low, self.high)

    def in_words(self) -> str:
        """For people."""
        if self.kind == "choice":
            return " | ".join(map(str, self.values))
        low, high = self.ends()
        return f"{low:g} to {high:g}" + {"int": " (whole)", "log": " (log)", "float": ""}[self.kind]


Space = Mapping[str, SearchOption]


def search_space(method: str, config_dir: str | None = None) -> Space:
    """The checked search space of a method. Raises ``InputError``."""
    file = search_file(method, config_dir)
    if file is None:
        raise InputError(
            f"method={method} has nothing to tune: conf/search/{method}.yaml would list what it has."
        )
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict) or not content:
        raise InputError(f"{file} lists no option: map each option to a kind and a range.")
    space = {str(option): _typed(entry, file, str(option)) for option, entry in content.items()}
    schema = options_of("method", method)
    known = [field.name for field in dataclasses.fields(schema)]
    for option, searched in space.items():
        if option not in known:
            raise InputError(
                f"{file} names {option}, which method={method} has not: {choices(option, known)}"
            )
        for value in searched.ends():
            build(schema, {option: value}, "method")
    return space


def _typed(entry: Any, file: Path, option: str) -> SearchOption:
    if not isinstance(entry, Mapping):
        raise InputError(
            f"{file}: {option} needs a kind and a range, for example {{kind: int, low: 1, high: 5}}."
        )
    searched = build(SearchOption, entry, f"search.{option}")
    if searched.kind == "choice":
        if len(searched.values) < 2 or (searched.low, searched.high) != (None, None):
            raise InputError(f"{file}: {option} is a choice: give it two or more values and no range.")
    elif searched.values or searched.low is None or searched.high is None or searched.low >= searched.high:
        raise InputError(f"{file}: {option} is a range: give it low below high and no values.")
    elif searched.kind == "int" and any(float(end) % 1 for end in (searched.low, searched.high)):
        raise InputError(f"{file}: {option} is whole: give it whole ends.")
    elif searched.kind == "log" and searched.low <= 0:
        raise InputError(f"{file}: {option} is searched on a logarithmic scale: give it low above 0.")
    return searched
