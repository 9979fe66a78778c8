"""From the command line to the typed cells of a sweep, before anything is started.

Hydra composes each cell; its own complaints are turned into one sentence that names key, value and
remedy. No torch in here.
"""

from __future__ import annotations

import copy
import itertools
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from bench.config.overrides import as_override, parsed, stated_options, told, variant_of
from bench.config.registry import registry
from bench.config.schema import CONFIG_DIR as CONFIG_DIR
from bench.config.schema import CellConfig, build, parse_cell
from bench.config.source import options_of
from bench.config.tuned import search_file, tuned_overrides
from datasets.errors import InputError, choices, place

CONFIG_NAME = "config"
SWEEPER = "hydra_plugins.lethe.PlannedSweeper"
"""The one sweeper that starts what was planned (bench/sweep/planned.py)."""
UNION = "union"
"""Sweep parameter whose lines (or parts between ``;``) are products of their own, run as one sweep."""


@dataclass(frozen=True)
class Grid:
    """The cells of a command line, in sweep order.

    Attributes:
        configs: the typed cells.
        overrides: the override list of each cell, as its job gets it.
        shared: the overrides that hold for the whole sweep, Hydra's own among them.
        added: the part of ``overrides`` that is nobody's command line: tuned options, and the variant.
        multirun: whether this is a sweep, be it of one cell.
    """

    configs: list[CellConfig]
    overrides: list[list[str]]
    shared: list[str]
    added: list[list[str]]
    multirun: bool


def expand(overrides: Sequence[str], multirun: bool, config_dir: str | None = None) -> list[CellConfig]:
    """Every cell that these command-line overrides stand for, typed and checked, in sweep order.

    Raises:
        InputError: for the first cell that does not compose or type.
    """
    return expand_grid(overrides, multirun, config_dir).configs


def expand_grid(overrides: Sequence[str], multirun: bool, config_dir: str | None = None) -> Grid:
    """As ``expand``, with what a launcher needs to start the cells."""
    searchpath = [f"hydra.searchpath=[file://{Path(config_dir).resolve()}]"] if config_dir else []
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3", job_name="bench"):
        shared, cells, is_sweep = _sweep_lists([*searchpath, *overrides], multirun)
        configs, cells, added = _settled(cells, config_dir)
    jobs = [[text for text in cell if not text.startswith("hydra")] for cell in cells]
    return Grid(configs, jobs, shared, added, is_sweep)


def expand_each(cells: Sequence[Sequence[str]]) -> list[CellConfig]:
    """The typed cell of each list of overrides, none of which sweeps. Raises ``InputError``."""
    with initialize_config_dir(str(CONFIG_DIR), version_base="1.3", job_name="bench"):
        return _settled([list(cell) for cell in cells], None)[0]


def _settled(
    cells: list[list[str]], config_dir: str | None
) -> tuple[list[CellConfig], list[list[str]], list[list[str]]]:
    """Typed cells, their overrides with what is added to those of the command line, and that part alone."""
    composer = _Composer(config_dir)
    configs = [parse_cell(plain(composer.compose(cell))) for cell in cells]
    tuned = [_tuned(*pair, config_dir) for pair in zip(configs, cells, strict=True)]
    variants = [variant_of(cell, bool(more)) for cell, more in zip(cells, tuned, strict=True)]
    configs = [
        told(parse_cell(plain(composer.compose(cell + more))) if more else config, variant)
        for config, cell, more, variant in zip(configs, cells, tuned, variants, strict=True)
    ]
    added = [more + as_override(variant) for more, variant in zip(tuned, variants, strict=True)]
    return configs, [cell + more for cell, more in zip(cells, added, strict=True)], added


def _tuned(config: CellConfig, overrides: Sequence[str], config_dir: str | None) -> list[str]:
    """What the tuned file of a cell adds to its overrides; nothing for methods without tunable options."""
    if not config.tuned or search_file(config.method.name, config_dir) is None:
        return []
    return tuned_overrides(config, stated_options(overrides))


def plain(config: DictConfig) -> dict[str, Any]:
    """A composed configuration, resolved, as plain containers. Raises ``InputError``."""
    try:
        values: Any = OmegaConf.to_container(config, resolve=True)
    except OmegaConfBaseException as error:
        raise InputError(f"the configuration does not resolve: {_first_line(error)}.") from error
    return dict(values)


class _Composer:
    """Composes many cells; Hydra composes once per distinct choice of configuration groups.

    That is the expensive part. Plain values are set on a copy, as Hydra itself does after composing.
    """

    def __init__(self, config_dir: str | None) -> None:
        self._folders = [*([Path(config_dir)] if config_dir else []), CONFIG_DIR]
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one cell. Raises ``InputError``."""
        read = [parsed(text) for text in overrides]
        values = [override for override in read if self._is_plain_value(override)]
        chosen = tuple(str(o.input_line) for o in read if o not in values)
        if chosen not in self._bases:
            self._bases[chosen] = _compose(chosen, with_hydra=False)
            self._check_files({o.key_or_group: str(o.value()) for o in read if o not in values})
        config = copy.deepcopy(self._bases[chosen])
        for override in values:
            _set(config, override)
        return config

    def _check_files(self, chosen: dict[str, str]) -> None:
        """Refuse what is wrong in the file behind a choice, where its line is known."""
        for group, name in (_defaults() | chosen).items():
            files = [folder / group / f"{name}.yaml" for folder in self._folders]
            file = next((file for file in files if file.is_file()), None)
            if file is not None and group in NAMED_GROUPS:
                check_file(file, group)

    def _is_plain_value(self, override: Override) -> bool:
        """Whether an override changes a value of the composed configuration and chooses no group."""
        key = override.key_or_group
        changes = override.type is OverrideType.CHANGE and override.package is None
        if not changes or "/" in key or key.startswith("hydra"):
            return False
        if () not in self._bases:
            self._bases[()] = _compose((), with_hydra=False)
        top = self._bases[()].get(key.partition(".")[0])
        return "." in key or not (top is None or isinstance(top, DictConfig))


def _set(config: DictConfig, override: Override) -> None:
    try:
        OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
    except (ConfigAttributeError, ConfigKeyError) as error:
        raise InputError(_unknown_option(override.key_or_group, config)) from error
    except OmegaConfBaseException as error:
        raise InputError(f"{override.input_line} cannot be set: {_first_line(error)}.") from error


def _sweep_lists(overrides: list[str], multirun: bool) -> tuple[list[str], list[list[str]], bool]:
    """The shared overrides, and the override lists of the cells in the order of Hydra's own sweeper."""
    try:
        every = OverridesParser.create().parse_overrides(overrides)
    except OverrideParseException as error:
        raise InputError(f"{error.override} cannot be read as an override: write key=value.") from error
    swept = [o for o in every if o.is_sweep_override()]
    if swept and not multirun:
        raise InputError(
            f"{swept[0].input_line} names several values: add -m (Hydra's --multirun) to run them as a sweep."
        )
    shared = [str(o.input_line) for o in every if not o.is_sweep_override()]
    master = _compose(shared, with_hydra=True).hydra
    if not (multirun or str(master.mode).endswith("MULTIRUN")):
        return shared, [overrides], False
    if master.sweeper._target_ != SWEEPER:
        raise InputError("hydra/sweeper cannot be chosen, because sweeps are planned here: leave it out.")
    params = {str(key): str(value) for key, value in (master.sweeper.params or {}).items()}
    lines = _lines(params.pop(UNION, ""))
    cells: dict[tuple[str, ...], list[str]] = {}
    for line in lines or [[]]:
        for cell in _product([*(f"{key}={value}" for key, value in params.items()), *line], overrides):
            cells.setdefault(tuple(sorted(cell)), cell)
    return shared, list(cells.values()), True


def _lines(text: str) -> list[list[str]]:
    """The words of each line (or part between ``;``) as a shell reads them, without comments."""
    return [words for line in re.split(r"[\n;]", text) if (words := shlex.split(line, comments=True))]


def _product(from_config: Sequence[str], overrides: Sequence[str]) -> list[list[str]]:
    """The cells of one product; the sweep parameters of an experiment come first, as in Hydra's own sweeper.

    What the command line says of a key replaces what the experiment sweeps it over.
    """
    given = {parsed(text).key_or_group for text in overrides}
    kept = [text for text in from_config if parsed(text).key_or_group not in given]
    written: dict[str, list[str]] = {}
    for override in OverridesParser.create().parse_overrides([*kept, *overrides]):
        key = override.get_key_element()
        written[key] = [f"{key}={value}" for value in _values(override)]
    return [list(cell) for cell in itertools.product(*written.values())]


def _values(override: Override) -> list[str]:
    """The values that an override stands for, as they are written on a command line."""
    if not override.is_sweep_override():
        return [override.get_value_element_as_str()]
    if not override.is_discrete_sweep():
        raise InputError(f"{override.input_line} names no single values: list them, or use range(...).")
    return list(override.sweep_string_iterator())


def _compose(overrides: Sequence[str], with_hydra: bool) -> DictConfig:
    try:
        config: DictConfig = compose(CONFIG_NAME, list(overrides), return_hydra_config=with_hydra)
        return config
    except MissingConfigException as error:
        raise InputError(_missing_option(str(error))) from error
    except ConfigCompositionException as error:
        known = _compose((), with_hydra=False) if overrides else OmegaConf.create({})
        raise InputError(_unknown_key(error, known)) from error
    except (HydraException, OmegaConfBaseException) as error:
        raise InputError(f"the configuration does not compose: {_first_line(error)}.") from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = place(Path(mark.name), mark.line + 1) if mark else "a configuration file"
        raise InputError(f"{where}: {error.problem}: mend the YAML.") from error


NAMED_GROUPS = {
    "dataset": "reader",
    "backbone": "backbone",
    "method": "method",
    **dict.fromkeys(("poison", "regime", "repair", "audit", "tracking", "launch"), ""),
}
"""Groups whose files state a name, and the kind of what is registered under it, if anything is."""


@cache
def _defaults() -> dict[str, str]:
    """What is chosen of each group where the command line chooses nothing."""
    content = yaml.safe_load((CONFIG_DIR / f"{CONFIG_NAME}.yaml").read_text(encoding="utf-8"))
    return {
        str(key): str(name) for one in content["defaults"] if one != "_self_" for key, name in one.items()
    }


@cache
def check_file(file: Path, group: str) -> None:
    """Check the file of a choice against the options of what it names.

    Raises:
        InputError: with file and line, where it has no name, or an option that is unknown or wrong.
    """
    text = file.read_text(encoding="utf-8")
    content: Any = yaml.safe_load(text)
    lines = _line_by_key(yaml.compose(text))
    if isinstance(content, dict) and isinstance(content.get(group), dict):  # packaged globally
        content, lines = content[group], _line_by_key(yaml.compose(text), group)
    if not (isinstance(content, dict) and "name" in content):
        raise InputError(f"{place(file, None)} does not state a name: add the line name: {file.stem}.")
    kind = NAMED_GROUPS[group]
    if not kind:
        return
    name = str(content.get("reader" if kind == "reader" else "name"))
    stated = {key: v for key, v in content.items() if key not in ("name", kind) and "${" not in str(v)}
    try:
        build(options_of(kind, name), stated, group, f"{kind}={name}")
    except InputError as error:
        found = re.match(rf"(?:{group}|{kind})\.(\w+)", str(error))
        if found and found.group(1) in lines:
            raise InputError(f"{place(file, lines[found.group(1)])}: {error}") from error


def _line_by_key(node: yaml.Node | None, below: str = "") -> dict[str, int]:
    """Line by key of a mapping, or of the mapping ``below`` one of its keys."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    if below:
        return next((_line_by_key(value) for key, value in pairs if key.value == below), {})
    return {str(key.value): key.start_mark.line + 1 for key, _ in pairs}


def _missing_option(message: str) -> str:
    found = re.search(r"Could not (?:find|load) '([^']+)'", message)
    group, _, name = (found.group(1) if found else "").rpartition("/")
    if group == "hydra/launcher" and name.startswith("submitit"):
        raise InputError(
            "launch=slurm needs the package hydra-submitit-launcher: "
            "install it with pip install -e '.[slurm]'."
        )
    if NAMED_GROUPS.get(group) == group and name in registry(group):
        raise InputError(
            f"{group}={name} is registered but has no configuration: write conf/{group}/{name}.yaml, "
            f"or {group}/{name}.yaml in the folder that --config-dir names."
        )
    known = [file.stem for file in (CONFIG_DIR / group).glob("*.yaml")]
    listed = re.search(r"Available options in '[^']*':\n((?:\t.*\n)+)", message)
    if listed:  # includes the options of extra config folders
        known = listed.group(1).split()
    return f"{group}={name} is not known: {choices(name, known)}"


def _unknown_key(error: ConfigCompositionException, config: DictConfig) -> str:
    """The sentence about a key that the composed configuration does not have."""
    found = re.search(r"Could not (?:override|append to config|delete from config)[^']*'([^']+)'", str(error))
    if not found:
        return f"the configuration does not compose: {_first_line(error)}."
    return _unknown_option(found.group(1), config)


def _unknown_option(key: str, config: DictConfig) -> str:
    """The sentence about a key that the composed configuration does not have."""
    group, _, option = key.rpartition(".")
    known = OmegaConf.select(config, group) if group else config
    if not isinstance(known, DictConfig):
        return f"{key} is not an option: {choices(key.partition('.')[0], map(str, config))}"
    name = known.get("name") if group else None
    owner = f" of {group}={name}" if name else ""
    return f"{key} is not an option{owner}: {choices(option, (str(k) for k in known if k != 'name'))}"


def _first_line(error: BaseException | None) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__
