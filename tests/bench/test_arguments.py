"""What Lethe takes from Hydra, held to the version that is pinned."""

from __future__ import annotations

import itertools
import re
import sys
from importlib.metadata import version

import hydra
import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser

from bench.arguments import in_one_piece, parsed, run_application
from bench.config.overrides.grammar import product
from tests.house import ROOT, modules

ANYWHERE = ["--config-dir", "here", "method=tru", "-m", "seed=0,1", "~dataset.modalities.image"]


def test_hydra_is_the_version_that_is_pinned() -> None:
    (pinned,) = re.findall(r"^hydra-core==(.+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert version("hydra-core") == pinned


def test_one_module_leans_on_hydras_internals() -> None:
    sources = {name: path.read_text(encoding="utf-8") for name, path in modules().items()}
    assert [name for name, text in sources.items() if "hydra._internal" in text] == ["bench.arguments"]


def test_flags_are_found_between_overrides() -> None:
    known = parsed(ANYWHERE)
    assert known.overrides == ["method=tru", "seed=0,1", "~dataset.modalities.image"]
    assert (known.multirun, known.config_dir, known.cfg) == (True, "here", None)
    assert not any((known.help, known.hydra_help, known.info, known.shell_completion))
    assert in_one_piece(ANYWHERE, known.overrides) == ["--config-dir", "here", "-m", *known.overrides]


@pytest.mark.parametrize(("flag", "name"), [("--help", "help"), ("--hydra-help", "hydra_help")])
def test_flags_that_only_show_something(flag: str, name: str) -> None:
    assert vars(parsed([flag]))[name]
    assert parsed(["--cfg", "job"]).cfg == "job"
    assert parsed(["--info", "plugins"]).info == "plugins"


def test_an_application_sees_its_arguments_and_gives_its_exit_code() -> None:
    before, seen = list(sys.argv), []
    assert run_application(lambda: seen.append(sys.argv[1:]), ["--multirun", "seed=0"]) == 0
    assert run_application(lambda: sys.exit(3), []) == 3
    with pytest.raises(KeyError):
        run_application(lambda: {}["nothing"], [])
    assert seen == [["--multirun", "seed=0"]]
    assert sys.argv == before


@pytest.mark.parametrize(
    "overrides",
    [
        ["method=tru,mmrecun", "seed=0,1", "dataset=baby"],
        ["seed=range(0,3)", "~dataset.modalities.image", "+a.b={c: 1, d: [1, 2]}"],
        ["method.alpha=choice(0.1, 0.5)", "seed=1", "seed=2,3", "a='x, y'"],
        ["glob=[a,b],[c]", "++k=null"],
        [],
    ],
)
def test_cells_are_those_of_hydras_own_sweeper_in_its_order(overrides: list[str]) -> None:
    (basic,) = [
        kind
        for kind in hydra.core.plugins.Plugins.instance().discover(hydra.plugins.sweeper.Sweeper)
        if kind.__name__ == "BasicSweeper"
    ]
    every = OverridesParser.create().parse_overrides(overrides)
    expected = itertools.chain(*basic.split_arguments(every, max_batch_size=None))
    assert product([], overrides) == [list(cell) for cell in expected]
