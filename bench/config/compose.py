"""From the command line to the typed cells of a sweep, before anything is started.

Hydra composes each cell; its own complaints are turned into one sentence that names key, value and
remedy. No torch in here.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.types import Override, OverrideType
from hydra.errors import (
    ConfigCompositionException,
    MissingConfigException,
)
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from bench.config.overrides.grammar import lines, parsed, parsed_all, product
from bench.config.overrides.stated import as_override, stated_options, variant_of
from bench.config.registry import registry
from bench.config.schema import CONFIG_DIR as CONFIG_DIR
from bench.config.schema import CellConfig, build, parse_cell
from bench.config.source import options_of
from bench.config.tuned import search_file, tuned_overrides
from datasets.errors import InputError, choices, in_short, place

CONFIG_NAME = "config"
SWEEPER = "hydra_plugins.lethe.PlannedSweeper"
"""The one sweeper that starts what was planned (bench/sweep/planned.py)."""
PUBLISHED = "published"
"""The group of published hyper-parameters: taken where there are some of a backbone and a data set."""
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

    Raises ``InputError`` for the first cell that does not compose or type.
    """
    return expand_grid(overrides, multirun, config_dir).configs


def expand_grid(overrides: Sequence[str], multirun: bool, config_dir: str | None = None) -> Grid:
    """As ``expand``, with what a launcher needs to start the cells."""
    if config_dir and not Path(config_dir).is_dir():
        raise InputError(f"--config-dir={config_dir} is not a folder: name one that holds configurations.")
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
    variants = [
        variant_of(cell, config.tuned_target if more else "")
        for config, cell, more in zip(configs, cells, tuned, strict=True)
    ]
    configs = [
        replace(parse_cell(plain(composer.compose(cell + more))) if more else config, variant=variant)
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
    except (OmegaConfBaseException, RecursionError, ValueError) as error:
        raise InputError(f"the configuration does not resolve: {_first_line(error)}.") from error
    return dict(values)


class _Composer:
    """Composes many cells: Hydra once per distinct choice of groups, and plain values are set on a copy."""

    def __init__(self, config_dir: str | None) -> None:
        self._folders = [*([Path(config_dir)] if config_dir else []), CONFIG_DIR]
        self._bases: dict[tuple[str, ...], DictConfig] = {}

    def compose(self, overrides: Sequence[str]) -> DictConfig:
        """The configuration of one cell. Raises ``InputError``."""
        read = [parsed(text) for text in overrides]
        values = [override for override in read if self.is_plain_value(override)]
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
        if PUBLISHED in chosen:  # Hydra passes over an optional choice that is not there
            known = [file.stem for folder in self._folders for file in (folder / PUBLISHED).glob("*.yaml")]
            if chosen[PUBLISHED] not in known:
                raise InputError(
                    f"published={chosen[PUBLISHED]} is not known: {choices(chosen[PUBLISHED], known)}"
                )
        for group, name in (_defaults() | chosen).items():
            files = [folder / group / f"{name}.yaml" for folder in self._folders]
            file = next((file for file in files if file.is_file()), None)
            if file is not None and group in NAMED_GROUPS:
                check_file(file, group)

    def is_plain_value(self, override: Override) -> bool:
        """Whether an override changes a value of the composed configuration and chooses no group."""
        key = override.key_or_group
        changes = override.type is OverrideType.CHANGE and override.package is None
        if not changes or "/" in key or key.startswith("hydra"):
            return False
        top = _compose((), with_hydra=False).get(key.partition(".")[0])
        return "." in key or not (top is None or isinstance(top, DictConfig))


def _set(config: DictConfig, override: Override) -> None:
    try:
        OmegaConf.update(config, override.key_or_group, override.value(), merge=True)
    except (ConfigAttributeError, ConfigKeyError) as error:
        raise InputError(_unknown_option(override.key_or_group, config)) from error
    except Exception as error:  # whatever OmegaConf makes of a key or a value that it was not made for
        raise InputError(f"{in_short(override.input_line)} cannot be set: {_first_line(error)}.") from error


def _sweep_lists(overrides: list[str], multirun: bool) -> tuple[list[str], list[list[str]], bool]:
    """The shared overrides, and the override lists of the cells in the order of Hydra's own sweeper."""
    every = parsed_all(overrides)
    swept = [o for o in every if o.is_sweep_override()]
    if swept and not multirun:
        raise InputError(
            f"{swept[0].input_line} names several values: add -m (Hydra's --multirun) to run them as a sweep."
        )
    shared = [str(o.input_line) for o in every if not o.is_sweep_override()]
    composer = _Composer(None)  # plain values choose no mode and no sweeper
    chosen = [text for text in shared if not composer.is_plain_value(parsed(text))]
    master = _compose(chosen, with_hydra=True).hydra
    if not (multirun or str(master.mode).endswith("MULTIRUN")):
        return shared, [overrides], False
    if master.sweeper._target_ != SWEEPER:
        raise InputError("hydra/sweeper cannot be chosen, because sweeps are planned here: leave it out.")
    params = {str(key): str(value) for key, value in (master.sweeper.params or {}).items()}
    united = lines(params.pop(UNION, ""))
    cells: dict[tuple[str, ...], list[str]] = {}
    for line in united or [[]]:
        for cell in product([*(f"{key}={value}" for key, value in params.items()), *line], overrides):
            cells.setdefault(tuple(sorted(cell)), cell)
    return shared, list(cells.values()), True


@cache  # slow, and conf/ stays as it is while a process lives; not to be changed
def _composed(overrides: tuple[str, ...], with_hydra: bool) -> DictConfig:
    return compose(CONFIG_NAME, list(overrides), return_hydra_config=with_hydra)  # type: ignore[no-any-return]


def _compose(overrides: Sequence[str], with_hydra: bool) -> DictConfig:
    try:
        plugged_in = any(text.startswith("hydra.searchpath") for text in overrides)
        return (_composed.__wrapped__ if plugged_in else _composed)(tuple(overrides), with_hydra)
    except MissingConfigException as error:
        raise InputError(_missing_option(str(error))) from error
    except ConfigCompositionException as error:
        known = _compose((), with_hydra=False) if overrides else OmegaConf.create({})
        raise InputError(_unknown_key(error, known)) from error
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = place(Path(mark.name), mark.line + 1) if mark else "a configuration file"
        raise InputError(f"{where}: {error.problem}: mend the YAML.") from error
    except Exception as error:  # whatever Hydra makes of what it was not made for
        raise InputError(f"the configuration does not compose: {_first_line(error)}.") from error


NAMED_GROUPS = {
    "dataset": "reader",
    "backbone": "backbone",
    "method": "method",
    **dict.fromkeys(("poison", "regime", "stream", "repair", "audit", "tracking", "launch"), ""),
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
    listed = re.search(r"Available options in '[^']*':\n((?:\t.*\n)+)", message)  # of all config folders
    known = listed.group(1).split() if listed else [file.stem for file in (CONFIG_DIR / group).glob("*.yaml")]
    return f"{in_short(f'{group}={name}')} is not known: {choices(name, known)}"


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
    first = str(error).strip().splitlines()[:1]
    return in_short(first[0]).rstrip(".") if first else type(error).__name__
