"""A folder of pictures, one per item, called by the item's own id."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datasets.errors import InputError
from datasets.prepare.sources.options import ItemOptions

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp")
PICTURES = "pictures.json"


@dataclass(frozen=True)
class Pictures:
    """Which picture each item has: file name and SHA-256 by item number."""

    folder: Path
    names: dict[int, str]
    digests: dict[int, str]

    def has_picture(self, num_items: int) -> NDArray[np.bool_]:
        """Which items have a picture [num_items]."""
        mask = np.zeros(num_items, dtype=bool)
        mask[list(self.names)] = True
        return mask


def listing(folder: Path) -> list[str]:
    """The name of every picture in a folder, sorted. Raises ``InputError`` where there is none."""
    if not folder.is_dir():
        raise InputError(f"--images {folder} is not a folder: give the folder of the pictures.")
    with os.scandir(folder) as entries:
        found = [e.name for e in entries if e.is_file() and Path(e.name).suffix.lower() in ENDINGS]
    if not found:
        raise InputError(f"--images {folder} holds no picture ({', '.join(ENDINGS)}): give another folder.")
    return sorted(found)


def told_pictures(folder: Path) -> dict[str, Any]:
    """The pictures of a folder as one source: their number, bytes, and SHA-256 over names and contents."""
    digest, size = hashlib.sha256(), 0
    for name in listing(folder):
        content = (folder / name).read_bytes()
        digest.update(f"{name}\0{hashlib.sha256(content).hexdigest()}\n".encode())
        size += len(content)
    return {"file": folder.name, "role": "pictures", "bytes": size, "sha256": digest.hexdigest()}


def match(folder: Path, items: NDArray[np.object_]) -> dict[int, str]:
    """The file of each item that has a picture, by number.

    Raises:
        InputError: if an item has two pictures, or no item has any.
    """
    numbers = {own: number for number, own in enumerate(items.tolist())}
    names: dict[int, str] = {}
    for name in listing(folder):
        number = numbers.get(Path(name).stem)
        if number is None:
            continue
        if number in names:
            raise InputError(f"{folder} has both {names[number]} and {name} for one item: keep one of them.")
        names[number] = name
    if not names:
        raise InputError(
            f"--images {folder} has no picture of any item: call them by the item's id, such as "
            f"{items[0]}.jpg."
        )
    return dict(sorted(names.items()))


def write_pictures(
    options: ItemOptions, items: NDArray[np.object_], folder: Path, advance: Callable[[int, int], None]
) -> dict[str, Any]:
    """Find, decode once and hash the picture of every item; ``advance`` is told how far it is.

    Raises:
        InputError: naming the first picture that cannot be decoded, and how many there are, unless they
            count as missing.
    """
    assert options.images is not None
    names = match(options.images, items)
    digests, broken = {}, []
    for done, (number, name) in enumerate(names.items()):
        path = options.images / name
        if defect := _defect(path):
            broken.append((number, defect))
        else:
            digests[number] = hashlib.sha256(path.read_bytes()).hexdigest()
        advance(done + 1, len(names))
    if broken and options.broken_images == "error":
        number, defect = broken[0]
        more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
        raise InputError(
            f"{options.images / names[number]}{more} cannot be decoded ({defect}): replace it, or count such "
            "pictures as missing with --broken-images missing."
        )
    good = {number: name for number, name in names.items() if number in digests}
    content = {"names": good, "digests": digests}
    (folder / PICTURES).write_text(json.dumps(content), encoding="utf-8")
    return {"items_with_picture": len(good), "broken_pictures": len(broken)}


def read_pictures(folder: Path, images: Path) -> Pictures:
    """What ``write_pictures`` wrote."""
    content: Mapping[str, Mapping[str, str]] = json.loads((folder / PICTURES).read_text(encoding="utf-8"))
    names, digests = ({int(n): v for n, v in content[key].items()} for key in ("names", "digests"))
    return Pictures(images, names, digests)


def _defect(path: Path) -> str | None:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            image.load()
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return (str(error).splitlines() or [type(error).__name__])[0]
    return None
