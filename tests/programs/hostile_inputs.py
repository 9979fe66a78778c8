"""``python -m tests.programs.hostile_inputs``: the hostile inputs with their sentences, as a Markdown
table.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import tempfile
import warnings
from pathlib import Path

from bench.cli import main as bench
from results.formats.markdown import cell
from tests.fuzzing import write_shop
from tests.hostile import INPUTS, Input, arguments, prepare


def sentence(given: Input, folder: Path) -> tuple[int | str, str]:
    """Exit code and what was said."""
    prepare(folder)
    write_shop(folder / "shop")
    given.damage(folder / "shop")
    before, said = Path.cwd(), io.StringIO()
    os.chdir(folder)
    try:
        with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
            code: int | str = bench(arguments(given))
    except Exception as error:
        code = f"traceback of {type(error).__name__}"
    finally:
        os.chdir(before)
    return code, said.getvalue().strip().replace(f"{folder}/", "")


def main() -> int:
    """Print the table; 1 if an input was answered by anything but one sentence and exit code 2."""
    warnings.simplefilter("ignore")
    print("| input | exit code | sentence |\n|---|---|---|")
    wrong = 0
    for given in INPUTS:
        with tempfile.TemporaryDirectory() as name:
            code, said = sentence(given, Path(name).resolve())
        wrong += code != 2 or "\n" in said or not said.startswith("error: ")
        print(f"| {cell(given.what)} | {code} | {cell(said.removeprefix('error: '))[:400]} |", flush=True)
    print(f"\n{len(INPUTS)} inputs, {wrong} not answered by one sentence and exit code 2")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
