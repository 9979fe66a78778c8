"""An empty folder named as one of Lethe's packages, where somebody works, is not taken for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.house import ROOT

PROGRAM = f"""
import sys
from importlib.util import spec_from_file_location as spec_of

ROOT = {str(ROOT)!r}

class Editable:  # as pip installs it: at the end, after every path was searched
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name in ("bench", "datasets", "models", "results", "unlearning"):
            places = [ROOT + "/" + name]
            return spec_of(name, places[0] + "/__init__.py", submodule_search_locations=places)

sys.path[:] = ["", *(path for path in sys.path if path not in ("", ROOT))]
sys.meta_path[:] = [one for one in sys.meta_path if "editable" not in repr(one)] + [Editable]
import PACKAGE
from models import BACKBONES
from unlearning import METHODS
from datasets import READERS
"""


@pytest.mark.parametrize("package", ["bench", "results"])
def test_empty_folders_of_these_names_do_no_harm(package: str, tmp_path: Path) -> None:
    for name in ("models", "datasets", "unlearning"):
        (tmp_path / name).mkdir()
    code = PROGRAM.replace("PACKAGE", package)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
