"""The reader of a data set by its name, without the harness: ``conf/dataset/<name>.yaml`` or a folder."""

from __future__ import annotations

import importlib
import os
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from datasets import READERS
from datasets.errors import InputError
from datasets.reader import DatasetReader

CONF = Path(__file__).resolve().parent.parent / "conf"


def default_data_root() -> Path:
    """The folder of the data sets: the environment variable ``LETHE_DATA``, else ``./data``."""
    return Path(os.environ.get("LETHE_DATA") or "data")


def reader_named(name: str, data_root: Path) -> DatasetReader:
    """The reader of a configured data set, or of a folder given by its path.

    Raises:
        InputError: if there is neither, or the configuration does not fit.
    """
    file = CONF / "dataset" / f"{name}.yaml"
    if file.is_file() and name != "folder":
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        # A file that also sets training options is packaged globally and holds its group by name.
        values = dict(content.get("dataset", content))
        return _reader(str(values.pop("name") or name), str(values.pop("reader")), values, data_root)
    for folder in (Path(name), data_root / name):
        if folder.is_dir():
            return _reader(folder.resolve().name, "folder", {"path": str(folder)}, data_root)
    known = ", ".join(sorted(path.stem for path in (CONF / "dataset").glob("*.yaml")))
    raise InputError(
        f"{name} is neither a folder, nor a folder below {data_root}, nor a data set of conf/dataset "
        f"({known}): check the name, or set LETHE_DATA."
    )


def _reader(name: str, reader: str, options: dict[str, Any], data_root: Path) -> DatasetReader:
    plugins = {entry.name: entry.value for entry in entry_points(group="lethe.readers")}
    target = {**plugins, **READERS}.get(reader)
    if target is None:
        raise InputError(f"the data set {name} has the reader {reader}, which is not registered.")
    module, _, attribute = target.partition(":")
    kind = getattr(importlib.import_module(module), attribute)
    try:
        checked = TypeAdapter(kind.Options).validate_python(options)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise InputError(f"the data set {name} has {key}={first['input']}: {first['msg']}.") from error
    found: DatasetReader = kind(name, checked, data_root)
    return found
