"""The one schema of a cell's configuration, and its check at compose time.

Hydra composes, this module types: every value that reaches the pipeline has passed through the
frozen dataclasses below (or the options dataclass of the chosen reader, backbone or method), and
whatever does not fit is refused in one sentence before anything is loaded. No torch in here.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Field, TypeAdapter, ValidationError

from bench.config.overrides.values import check_name, check_value
from bench.config.registry import load_class, target_of
from bench.config.source import options_of
from bench.train.options import Positive, RepairConfig, TrainConfig
from datasets.errors import InputError, choices, in_short
from datasets.poison_options import PoisonOptions
from datasets.request_options import RequestOptions
from datasets.streams.options import StreamOptions
from unlearning import REFERENCE_METHODS

T = TypeVar("T")

CONFIG_DIR = Path(__file__).resolve().parents[2] / "conf"

RunMode = Literal["only_missing", "always"]
Stage = Annotated[str, Field(pattern=r"^(cell|original|gold(-\d+)?)$")]


EXEMPT_FROM_REPAIR = RepairConfig("exempt")
"""What reference systems get in place of the stage that was asked for."""


@dataclass(frozen=True)
class UsersConfig:
    """On whom every model of a request is measured (docs/protocol.md)."""

    count: Positive | None = None
    """In proportion from forgotten, touched and other users; null: all of them."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Of the draw, which the training seed has no part in."""


@dataclass(frozen=True)
class EvaluateConfig:
    """How the fixed set of splits is measured, and what is kept beside it (docs/protocol.md)."""

    candidates: Literal["all", "remaining"] = "all"
    """What is ranked. ``all``: every item, withdrawn ones too, as in the papers. ``remaining``: only those
    that stay. Training, and splits that ask whether withdrawn items are still ranked, always rank all."""
    lists: Positive = 5000
    """Users whose top-20 lists are stored, the same for every cell of a data set."""
    trajectory: bool = True
    """Evaluate after each unlearning epoch (off the clock): the curves of TRU's Figure 7."""
    chunk_scores: Positive = 40_000_000
    """Scores held in memory at once (users x items); bounds the memory of full ranking."""
    users: UsersConfig = UsersConfig()

    def identity(self) -> dict[str, Any]:
        """JSON-able content for keys; without a sample of users nothing is said of one."""
        sampled = self.users.count is not None
        return {name: value for name, value in as_json(self).items() if sampled or name != "users"}


@dataclass(frozen=True)
class RunConfig:
    """How a cell runs."""

    dry: bool = False
    mode: RunMode = "only_missing"
    deterministic: bool = False
    """Bit-equal weights for a seed, whatever the number of threads; somewhat slower."""
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    """CPU threads of one cell; null shares the cores evenly between parallel jobs."""
    retry_failed: bool = False
    """Run cells again whose latest run failed."""
    save_model: bool = False
    """Keep the unlearned model with the cell's run (``bench/objects/saved.py``)."""
    stage: Stage = "cell"
    """What a job does: the cell, or only the training of a model that it needs (``original``, ``gold``; of a
    stream ``gold-<checkpoint>``); set by the sweep itself."""


@dataclass(frozen=True)
class CacheConfig:
    """Where trained weights are kept; deleting the folder loses no result."""

    dir: Path = Path("cache")
    training_seconds: Annotated[float, Field(ge=0)] | None = 60.0
    """How often the state of a training is kept, so that one which is stopped goes on; null: never."""


@dataclass(frozen=True)
class TrackingConfig:
    """The MLflow store, the only record of what was measured."""

    uri: Annotated[str, Field(min_length=1)]
    experiment: Annotated[str, Field(min_length=1, max_length=200)] = "lethe"
    name: str = "local"
    spool: Path = Path("spool")
    """Folder where finished records are kept until the store has confirmed them."""
    parent: str | None = None
    """MLflow run id of the sweep; set by the sweep itself."""
    refresh: bool = True
    """Whether MLflow's pages are brought up to date at the end: means over seeds, descriptions, artifacts."""


@dataclass(frozen=True)
class LaunchConfig:
    """How the cells of a sweep are spread over processes."""

    name: str = "serial"
    jobs: Annotated[int, Field(ge=1, le=4096)] = 1
    """Cells side by side on this machine."""
    cpus: Positive = 1
    """Cores of one cell, where the launcher leases them (Ray, Slurm)."""
    gpus: Annotated[float, Field(ge=0)] = 0
    """GPUs of one cell, where the launcher leases them; Ray also takes a fraction."""
    address: str | None = None
    """Ray cluster, e.g. auto or ray://host:10001; null starts Ray on this machine."""
    retries: Annotated[int, Field(ge=0)] = 2
    """How often a cell is started again whose worker was lost."""
    total_cpus: Positive | None = None
    """Cores that Ray started on this machine may lease; null: all."""
    total_gpus: Annotated[int, Field(ge=0)] | None = None
    """GPUs that Ray started on this machine may lease; null: all that it finds."""


@dataclass(frozen=True)
class AuditConfig:
    """Which audits run after evaluation, by name, and the checked options of each of them."""

    name: str = "none"
    audits: tuple[str, ...] = ()
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """A registered class and its checked options."""

    name: str
    options: Any

    def identity(self) -> dict[str, Any]:
        """JSON-able content for keys and parameters."""
        return {"name": self.name, **as_json(self.options)}


@dataclass(frozen=True)
class TunedFrom:
    """What a tuned file says of the tune behind it, for its cells: ``bench/config/tuned.py``."""

    rule: str
    """What choosing by its rule is called."""
    trials: int
    seconds: float
    """Of the method's own clock, over all trials."""
    data: str
    """Key of the data set."""
    request: str
    """Key of the deletion request."""
    code: str
    """Digest of the method's code."""
    setting: str
    """Digest of what else was the same for all trials."""


@dataclass(frozen=True)
class DatasetChoice(Choice):
    """A data set: ``name`` labels it, ``reader`` reads it."""

    reader: str = "mmrec"


@dataclass(frozen=True)
class CellConfig:
    """One cell: everything that determines what is run and measured."""

    dataset: DatasetChoice
    poison: PoisonOptions
    backbone: Choice
    regime: RequestOptions
    stream: StreamOptions
    method: Choice
    train: TrainConfig
    repair: RepairConfig
    evaluate: EvaluateConfig
    audit: AuditConfig
    tracking: TrackingConfig
    launch: LaunchConfig
    cache: CacheConfig
    run: RunConfig
    seed: Annotated[int, Field(ge=0)]
    device: str
    data_root: Path
    tuned: bool = False
    """Overlay the method's tuned options (``bench/config/tuned.py``)."""
    tuned_target: Literal["gold", "proxy"] = "gold"
    """Which of them: chosen with gold models (oracle tuning), or without (gold-free tuning)."""
    tuned_dir: Path | None = None
    """Folder of the tuned files; null: conf/tuned_options of the checkout."""
    tuning: TunedFrom | None = None
    """Where the tuned options come from; set by the overlay itself, null where nothing was overlaid."""
    variant: str = ""
    """The options that were stated for this cell, in a few words (``bench/config/overrides/stated.py``);
    set by the sweep itself, and part of no key."""

    @property
    def applied_repair(self) -> RepairConfig:
        """The repair stage that this cell's method gets: reference systems are exempt."""
        return EXEMPT_FROM_REPAIR if self.method.name in REFERENCE_METHODS else self.repair

    @property
    def data_name(self) -> str:
        """Name of the data set, with its poison where there is one."""
        poison = "" if self.poison.name == "none" else f"+{self.poison.name}"
        return f"{self.dataset.name}{poison}"

    @property
    def regime_name(self) -> str:
        """Name of the regime, with the stream where there is one."""
        return f"{self.regime.name}+{self.stream.name}" if self.stream.streams else self.regime.name

    @property
    def request_seed(self) -> int:
        """Which request, or stream of requests, the cell faces."""
        return self.stream.seed if self.stream.streams else self.regime.seed

    @property
    def label(self) -> str:
        """Short human name of the cell, with the options stated for it; the first request is not named."""
        request = [f"request {self.request_seed}"] if self.request_seed else []
        method = " ".join(text for text in (self.method.name, self.variant) if text)
        labels = [self.data_name, self.backbone.name, self.regime_name, method]
        return "/".join([*labels, *request, f"seed {self.seed}"])


def parse_cell(values: Mapping[str, Any]) -> CellConfig:
    """Type a composed configuration. Raises ``InputError`` on the first value that does not fit."""
    rest = dict(values)
    dataset = dict(_group(rest, "dataset"))
    reader = str(dataset.pop("reader", ""))
    audit = _audit(_group(rest, "audit"))
    cell = build(
        CellConfig,
        {
            **rest,
            "dataset": DatasetChoice(
                name=_data_name(dataset, reader),
                reader=reader,
                options=build(options_of("reader", reader), dataset, "dataset", f"dataset.reader={reader}"),
            ),
            "backbone": _choice(rest, "backbone"),
            "method": _choice(rest, "method"),
            "audit": audit,
            "regime": _regime(rest, audit.audits),
            "stream": _stream(rest),
        },
        "",
    )
    cell.train.check()
    for group in ("dataset", "poison", "backbone", "regime", "method", "repair", "audit", "launch"):
        check_name(f"{group}.name", getattr(cell, group).name)
    return cell


def _data_name(dataset: dict[str, Any], reader: str) -> str:
    """The label of a data set, taken out of its group; null stands for the name of its folder."""
    name = dataset.pop("name", None)
    if name is not None:
        return str(name)
    folder = dataset.get("path") or dataset.get("folder")
    return Path(str(folder)).resolve().name if folder else reader


def _regime(values: Mapping[str, Any], audits: Sequence[Any]) -> RequestOptions:
    """The options of the chosen regime, checked against what it goes with."""
    group = _group(values, "regime")
    kind = load_class("regime", str(group["name"]))
    options: RequestOptions = build(kind.Options, group, "regime")
    kind(options).check(_group(values, "poison")["name"], _group(values, "method")["name"], audits)
    return options


def _stream(values: Mapping[str, Any]) -> StreamOptions:
    """The options of the chosen stream, checked against what it goes with."""
    options = build(StreamOptions, _group(values, "stream"), "stream")
    names = (str(_group(values, group)["name"]) for group in ("poison", "regime"))
    load_class("stream", options.name)(options).check(*names)
    return options


def _audit(group: Mapping[str, Any]) -> AuditConfig:
    """The chosen audits with their options; options of an audit that does not run must be its defaults."""
    stated = _mapping("audit.options", group.get("options"))
    chosen = build(AuditConfig, {key: value for key, value in group.items() if key != "options"}, "audit")
    for name in chosen.audits:
        if name == "none":  # conf/audit/poison.yaml names the audit after the poison
            raise InputError(
                "audit=poison finds poison=none, nothing to audit: choose poison=backdoor or poison=spam."
            )
        target_of("audit", name)
    options = {name: _audit_options(name, stated.get(name)) for name in chosen.audits}
    for name in sorted(stated.keys() - options.keys()):
        if _audit_options(name, stated[name]) != options_of("audit", name)():
            raise InputError(
                f"audit.options.{name} sets options of an audit that does not run: "
                f"add {name} to audit.audits or leave them as they are."
            )
    return dataclasses.replace(chosen, options=options)


def _audit_options(name: str, values: Any) -> Any:
    path = f"audit.options.{name}"
    return build(options_of("audit", name), _mapping(path, values), path)


def _mapping(path: str, values: Any) -> Mapping[str, Any]:
    if not isinstance(values or {}, Mapping):
        raise InputError(f"{path}={values} is not valid: it holds options, {path}.<name>=<value>.")
    return values or {}


def build(schema: type[T], values: Mapping[str, Any], path: str, owner: str = "") -> T:
    """An instance of the dataclass ``schema`` from ``values``.

    Args:
        schema: what to build.
        values: by field.
        path: names the group in errors.
        owner: names there what has these options, for example ``method=tru``.

    Raises:
        InputError: for the first value that does not fit.
    """
    fields = [field.name for field in dataclasses.fields(schema)]  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            raise InputError(
                f"{in_short(_join(path, str(key)))} is not an option{owner and f' of {owner}'}: "
                f"{choices(str(key), fields)}"
            )
    for key, value in values.items():
        check_value(_join(path, str(key)), value)
    hints = typing.get_type_hints(schema)
    nested = {
        key: build(hints[key], value, _join(path, key))
        if isinstance(value, Mapping) and dataclasses.is_dataclass(hints[key])
        else value
        for key, value in values.items()
    }
    try:
        validated: T = _adapter(schema).validate_python(nested)
        return validated
    except ValidationError as error:
        raise InputError(_sentence(error, path)) from error


def as_json(options: Any) -> dict[str, Any]:
    """A dataclass as plain JSON-able values (paths as strings)."""
    plain = _adapter(type(options)).dump_python(options, mode="json")
    return dict(plain)


_adapter: Callable[[Any], TypeAdapter[Any]] = cache(TypeAdapter)
"""Building an adapter costs a millisecond, and a sweep asks for the same ones a thousand times."""


def _choice(values: Mapping[str, Any], kind: str) -> Choice:
    group = dict(_group(values, kind))
    name = str(group.pop("name", ""))
    return Choice(name, build(options_of(kind, name), group, kind, f"{kind}={name}"))


def _group(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    group = values.get(key)
    if not isinstance(group, Mapping) or "name" not in group:
        raise InputError(f"{key}={group!r} is not a configuration: choose one with {key}=<name>.")
    return group


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _sentence(error: ValidationError, path: str) -> str:
    first = error.errors()[0]
    key = _join(path, ".".join(str(part) for part in first["loc"][:1]))
    if first["type"] == "missing":
        return f"{key} is not set: give it a value with {key}=<value>."
    reason = first["msg"].removeprefix("Value error, ").replace("Input should", "it should")
    return f"{key}={in_short(first['input'])} is not valid: {reason[0].lower()}{reason[1:]}."
