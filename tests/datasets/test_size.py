"""What a data set needs at least is asked before anything of its size is made."""

from __future__ import annotations

import pytest

from datasets.errors import InputError
from datasets.size import check_size, in_bytes


def test_ids_that_no_memory_holds_are_refused_with_the_number() -> None:
    check_size(1_000_000, 200_000, "here")
    with pytest.raises(
        InputError, match=r"^here has ids up to user 3999999999999 .* need 4\.1 PB and this machine"
    ):
        check_size(4 * 10**12, 10, "here")


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, "0.0 B"), (999, "999.0 B"), (1500, "1.5 kB"), (4 * 10**12, "4.0 TB"), (10**22, "10,000.0 EB")],
)
def test_bytes_in_words(count: int, words: str) -> None:
    assert in_bytes(count) == words
