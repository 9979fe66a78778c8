"""What goes on beside a block ends with it, however it ends."""

from __future__ import annotations

import threading

import pytest

from bench.machine.background import alongside


def test_it_goes_on_during_the_block_and_has_ended_after_it() -> None:
    began, ended = threading.Event(), threading.Event()

    def work(stop: threading.Event) -> None:
        began.set()
        stop.wait()
        ended.set()

    with alongside(work):
        assert began.wait(60)
        assert not ended.is_set()
    assert ended.is_set()
    ended.clear()
    with pytest.raises(KeyError), alongside(work):
        raise KeyError
    assert ended.is_set()
