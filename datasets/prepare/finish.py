"""The last step: put the folder together beside its place, check it as a reader would, give it its name."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from datasets.card.content import card_of
from datasets.card.render import write_card
from datasets.errors import InputError
from datasets.folder import Folder, FolderOptions
from datasets.mmrec import DEFAULT_MODALITIES
from datasets.named import CONF, default_data_root
from datasets.prepare.sources.options import PrepareOptions
from datasets.prepare.work import BUILDING, NOTES, put_in_place
from datasets.validation import check

MADE_BY = "# written by python -m datasets prepare\n"


def finish(options: PrepareOptions, work: Path, folders: Sequence[Path], told: Mapping[str, Any]) -> None:
    """Publish the files of ``folders``, with provenance, card and configuration.

    Raises:
        InputError: if the assembled set does not pass the checks of every data set, or its place is taken.
    """
    check_place(options)
    building = work / f"{BUILDING}{options.name}"
    building.mkdir()
    for folder in folders:
        for path in sorted(folder.iterdir()):
            if path.name != NOTES:
                _link(path, building / path.name)
    (building / "provenance.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    modalities = tuple(told["features"])
    raw = Folder(options.name, FolderOptions(str(building), modalities), building).read()
    check(raw, options.name)
    write_card(card_of(options.name, raw, told), building)
    place = building / "conf" / "dataset"
    place.mkdir(parents=True)
    (place / f"{options.name}.yaml").write_text(dataset_yaml(options, modalities), encoding="utf-8")
    old = work / f"{BUILDING}replaced"
    if options.out.exists():
        options.out.rename(old)
    put_in_place(building, options.out)
    shutil.rmtree(old, ignore_errors=True)


def check_place(options: PrepareOptions) -> None:
    """Raise ``InputError`` where something else is in the way."""
    if not options.out.exists():
        return
    if not (options.out / "provenance.json").is_file():
        raise InputError(
            f"{options.out} is there and was not made by this command: choose another --out, or move it away."
        )
    if not options.overwrite:
        raise InputError(
            f"{options.out} was prepared from other files or with other options: replace it with "
            "--overwrite, or choose another --out."
        )


def dataset_yaml(options: PrepareOptions, modalities: Sequence[str]) -> str:
    """The configuration ``conf/dataset/<name>.yaml``: by name below the data root, else by path."""
    listed = None if set(modalities) <= set(DEFAULT_MODALITIES) else list(modalities)
    where: dict[str, Any] = {"reader": "folder", "path": str(options.out.resolve())}
    if options.out.resolve().parent == default_data_root().resolve():
        where = {"reader": "mmrec", "folder": options.name}
    content = {"name": options.name, **where, "modalities": listed}
    return MADE_BY + yaml.safe_dump(content, sort_keys=False)


def register(options: PrepareOptions, conf: Path = CONF) -> Path:
    """Copy the configuration into the checkout; its new place.

    Raises:
        InputError: if the checkout cannot be written to, or has another data set of that name.
    """
    source = options.out / "conf" / "dataset" / f"{options.name}.yaml"
    target = conf / "dataset" / source.name
    if target.exists() and not target.read_text(encoding="utf-8").startswith(MADE_BY):
        raise InputError(
            f"{target} is there and is another data set: choose another name, or leave out --register."
        )
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        shutil.copyfile(source, beside)
        beside.replace(target)
    except OSError as error:
        raise InputError(
            f"{target} cannot be written ({error.strerror}): leave out --register and use --config-dir "
            f"{options.out / 'conf'} or dataset=folder dataset.path={options.out}."
        ) from error
    return target


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)
