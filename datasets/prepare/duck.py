"""DuckDB, kept to a memory limit and to the machine: nothing is fetched, what does not fit goes to disk.

Chosen over polars because its limit is enforced: sorts, joins and distinct values spill to the work
folder, where polars' streaming engine has no bound on them; and because it names the line of a CSV that
does not fit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from datasets.errors import InputError
from datasets.prepare.sources.base import Source, literal
from datasets.prepare.sources.beginning import cut_off
from datasets.prepare.sources.json_lines import first_bad_line

if TYPE_CHECKING:
    import duckdb

SHARE = 0.5
"""Of the command's memory; the rest is for Python, NumPy and what the limit does not count."""


@contextmanager
def connection(scratch: Path, memory_gib: float, threads: int | None) -> Iterator[duckdb.DuckDBPyConnection]:
    """A connection that spills below ``scratch``; all of it is gone afterwards."""
    import duckdb

    opened = duckdb.connect(str(scratch / "work.duckdb"))
    try:
        opened.execute(f"SET memory_limit = '{int(SHARE * memory_gib * 1024)}MiB'")
        opened.execute(f"SET temp_directory = {literal(str(scratch / 'spill'))}")
        opened.execute("SET autoinstall_known_extensions = false")
        opened.execute("SET autoload_known_extensions = false")
        if threads is not None:
            opened.execute(f"SET threads = {threads}")
        yield opened
    except duckdb.OutOfMemoryException as error:
        raise InputError(
            f"--memory-gib {memory_gib:g} is not enough for this data ({_first_line(error)}): allow more."
        ) from error
    finally:
        opened.close()


@contextmanager
def reading(source: Source) -> Iterator[None]:
    """Turn what DuckDB says about a broken file into one sentence."""
    import duckdb

    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except duckdb.Error as error:
        raise _sentence(source, str(error)) from error


def _sentence(source: Source, message: str) -> InputError:
    path = source.path
    if re.search("gzip|zlib|deflate|compress", message, re.IGNORECASE):
        return cut_off(path)
    if "json" in source.relation[:10]:
        return first_bad_line(path)
    line = re.search(r"CSV Error on Line: (\d+)", message)
    where = f"{path}, line {line.group(1)}" if line else str(path)
    cells = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", message)
    text = re.search(r"Original Line: (.*)", message)
    shown = f", its text is {text.group(1)[:80]!r}" if text else ""
    if cells:
        return InputError(
            f"{where} has {cells.group(2)} cells and not {cells.group(1)}{shown}: correct the line, or state "
            "another --format."
        )
    if "unicode" in message or "utf-8" in message.lower():
        return InputError(f"{where} is not UTF-8{shown}: save the file again as UTF-8.")
    if "quote" in message:
        return InputError(f"{where} has a double quote that does not end{shown}: correct the line.")
    return InputError(f"{where} cannot be read ({message.splitlines()[0].rstrip('.')}): correct the file.")


def _first_line(error: BaseException) -> str:
    return str(error).splitlines()[0].rstrip(".")
