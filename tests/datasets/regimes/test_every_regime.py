"""Every registered regime: being registered is being tested."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from bench.config import registry as registry_module
from bench.config.compose import expand
from bench.config.registry import load_class, registry
from bench.planning.dataset import read_checked, reader_of
from bench.planning.request import draw, regime_of
from datasets.errors import InputError
from datasets.interactions import to_torch
from datasets.poison import PoisonedReader
from datasets.poison_options import PoisonOptions
from datasets.validation import DataSummary
from tests.tiny import tiny_data

ROOT = Path(__file__).parents[3]
REGIMES = sorted(registry("regime"))
SUMMARY = DataSummary(
    num_users=40, num_items=24, train=240, valid=80, test=80, users_without_train=0, items_without_train=0
)
every_regime = pytest.mark.parametrize("name", REGIMES)


def configured(name: str) -> Any:
    """The options that ``conf/regime/<name>.yaml`` states."""
    stated = yaml.safe_load((ROOT / "conf" / "regime" / f"{name}.yaml").read_text(encoding="utf-8"))
    return load_class("regime", name).Options(**stated)


@every_regime
def test_the_config_file_states_every_option(name: str) -> None:
    stated = yaml.safe_load((ROOT / "conf" / "regime" / f"{name}.yaml").read_text(encoding="utf-8"))
    assert stated.keys() == {field.name for field in dataclasses.fields(load_class("regime", name).Options)}
    assert stated["name"] == name


@pytest.mark.parametrize("name", [name for name in REGIMES if name != "poison"])
def test_a_request_is_cut_from_the_training_split_and_leaves_the_rest(name: str) -> None:
    data, regime = tiny_data(), regime_of(configured(name))
    request = regime.draw(data)
    rest = request.apply(data)
    removed = data.train.shape[1] - rest.train.shape[1]
    assert removed == request.forget.shape[1]
    assert (removed > 0) is regime.forgets
    named = {"user": len(request.users), "item": len(request.items)}.get(name, removed)
    assert regime.size(SUMMARY, None) == named
    again = regime.draw(data)
    assert torch.equal(request.forget, again.forget)


@every_regime
def test_a_list_is_refused_or_followed(name: str, tmp_path: Path) -> None:
    regime = load_class("regime", name)
    if regime.form is None:
        with pytest.raises(InputError, match="leave it null"):
            regime(dataclasses.replace(configured(name), file="x.csv")).check("backdoor", "original", ())
        return
    data, row = tiny_data(), tiny_data().train[:, 5]
    ids = {"user": int(row[0]), "item": int(row[1])}
    file = tmp_path / "request.csv"
    header = ",".join(f"{kind}ID" for kind in regime.form.kinds)
    file.write_text(f"{header}\n{','.join(str(ids[kind]) for kind in regime.form.kinds)}\n")
    request = draw(dataclasses.replace(configured(name), file=str(file)), data)
    assert bool((request.forget == row[:, None]).all(dim=0).any())


def test_no_regime_imports_torch_before_it_draws() -> None:
    program = (
        "import importlib, sys; from datasets.regimes import REGIMES\n"
        "[importlib.import_module(target.partition(':')[0]) for target in REGIMES.values()]\n"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False).returncode == 0


PLUGIN = '''
from datasets.regimes.entities import EntityRegime
from datasets.request_files import ListForm


class Newcomers(EntityRegime):
    """Users, under a name of its own."""

    form = ListForm("newcomers", ("user",), "newcomers")
    row = 0
'''


def test_a_regime_of_another_package_is_found_checked_and_drawn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "their_regimes.py").write_text(PLUGIN)
    (tmp_path / "regime").mkdir()
    stated = {"name": "newcomers", "ratio": 0.1, "count": None, "sampler": "core", "seed": 3, "file": None}
    (tmp_path / "regime" / "newcomers.yaml").write_text(yaml.safe_dump(stated))
    monkeypatch.syspath_prepend(str(tmp_path))
    entry = EntryPoint("newcomers", "their_regimes:Newcomers", "lethe.regimes")
    monkeypatch.setattr(
        registry_module, "entry_points", lambda group: [entry] if group == "lethe.regimes" else []
    )
    registry_module.registry.cache_clear()
    try:
        (cell,) = expand(["regime=newcomers", "regime.ratio=0.2"], False, str(tmp_path))
        assert (cell.regime.name, cell.regime.ratio, cell.regime.seed) == ("newcomers", 0.2, 3)
        assert len(draw(cell.regime, tiny_data()).users) == 8
    finally:
        registry_module.registry.cache_clear()


def test_a_name_that_is_not_known_lists_those_that_are() -> None:
    with pytest.raises(InputError, match=r"regime\.name=users is not registered: .*user"):
        expand(["regime.name=users"], multirun=False)


def test_injected_users_are_exactly_what_poison_asks_for() -> None:
    (cell,) = expand(["dataset=synthetic_tiny", "poison=spam", "regime=poison", "poison.ratio=0.1"], False)
    reader = reader_of(cell)
    assert isinstance(reader, PoisonedReader)
    assert isinstance(cell.poison, PoisonOptions)
    data = to_torch(read_checked(reader), "key")
    request = draw(cell.regime, data)
    assert request.users.tolist() == list(range(200, data.num_users))
    assert request.regime == "user"
