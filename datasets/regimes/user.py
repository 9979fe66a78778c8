"""``regime=user``: all training pairs of some users."""

from __future__ import annotations

from datasets.regimes.entities import EntityRegime
from datasets.request_files import ListForm


class UserRegime(EntityRegime):
    """Users leave, with everything they did."""

    form = ListForm("user", ("user",), "users")
    row = 0
