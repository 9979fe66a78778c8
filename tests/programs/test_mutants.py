"""The mutants keep up with the source: each still changes exactly one passage, to valid Python."""

from __future__ import annotations

import ast

import pytest

from tests.house import ROOT
from tests.programs.mutants import MUTANTS, Mutant, mutated


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_fits_the_source(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text(encoding="utf-8")
    assert ast.dump(ast.parse(mutated(mutant, source))) != ast.dump(ast.parse(source))
    assert all((ROOT / guard.partition("::")[0]).exists() for guard in mutant.guards)
