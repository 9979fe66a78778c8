"""The first bytes of a file tell what it cannot be."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path

from datasets.errors import InputError

LOOKED_AT = 1 << 16

PACKED = {b"PK\x03\x04": "zip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "Zstandard"}
GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
UTF16 = (b"\xff\xfe", b"\xfe\xff")


def check_is_file(path: Path) -> None:
    """Raise ``InputError`` where there is no file, or an empty one."""
    if not path.exists():
        raise InputError(f"{path} does not exist: give the path of a file.")
    if not path.is_file():
        raise InputError(f"{path} is not a file: give the path of a file.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty: give a file with rows.")


def check_text(path: Path) -> bool:
    """Whether a text file is compressed with gzip, by its content.

    Raises:
        InputError: if the file is missing, empty, packed otherwise, binary, or not UTF-8.
    """
    check_is_file(path)
    with path.open("rb") as file:
        start = file.read(8)
    for magic, name in PACKED.items():
        if start.startswith(magic):
            raise InputError(f"{path} is a {name} archive: unpack it, or pack it with gzip.")
    if start.startswith(PARQUET):
        raise InputError(f"{path} is a Parquet file: state --format parquet, or call it .parquet.")
    is_gzip = start.startswith(GZIP)
    if path.suffix == ".gz" and not is_gzip:
        raise InputError(f"{path} is called .gz but is not compressed with gzip: rename it or pack it.")
    _check_beginning(path, _first_bytes(path, is_gzip))
    return is_gzip


def lines(path: Path, is_gzip: bool) -> Iterator[str]:
    """The lines of a text file with their ends. Raises ``InputError`` naming the line that is not text."""
    number = 0
    try:
        with gzip.open(path) if is_gzip else path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise not_utf8(path, number, error.object[error.start : error.end]) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise cut_off(path) from error


def not_utf8(path: Path, line: int, value: bytes) -> InputError:
    """The sentence on bytes that are no UTF-8."""
    return InputError(
        f"{path}, line {line} holds the bytes {value.hex(' ')}, which are not UTF-8: save the file "
        "again as UTF-8."
    )


def cut_off(path: Path) -> InputError:
    """The sentence on a gzip file that ends too early or is damaged."""
    return InputError(f"{path} is cut off or damaged (gzip): get the file again.")


def _first_bytes(path: Path, is_gzip: bool) -> bytes:
    try:
        with gzip.open(path) if is_gzip else path.open("rb") as file:
            return file.read(LOOKED_AT)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise cut_off(path) from error


def _check_beginning(path: Path, start: bytes) -> None:
    if not start.strip():
        raise InputError(f"{path} is empty: give a file with rows.")
    if start.startswith(UTF16):
        raise InputError(f"{path} is UTF-16 text: save the file again as UTF-8.")
    if b"\0" in start:
        line = start[: start.index(b"\0")].count(b"\n") + 1
        raise InputError(f"{path}, line {line} holds a zero byte, so it is no text file: state its --format.")
