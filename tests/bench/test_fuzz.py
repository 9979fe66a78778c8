"""No configuration and no data file gives a traceback: a few drawn ones; ``tests/programs/fuzz.py`` draws
on.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzzing import Damage, check_damage, check_overrides, damages, overrides

QUICK = settings(
    max_examples=60,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
        HealthCheck.filter_too_much,
    ],
)


@QUICK
@given(drawn=overrides(), multirun=st.booleans())
def test_a_configuration_composes_or_one_sentence_says_why_not(drawn: list[str], multirun: bool) -> None:
    check_overrides(drawn, multirun)


@pytest.mark.filterwarnings("ignore")
@QUICK
@given(damage=damages())
def test_a_data_set_is_read_or_one_sentence_says_why_not(damage: Damage, tmp_path: Path) -> None:
    check_damage(tmp_path / "shop", damage)
