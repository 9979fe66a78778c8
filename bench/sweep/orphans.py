"""A worker whose command was killed outright notices within seconds, records that, and ends.

The command leaves its identity in the environment, which its workers inherit or are handed. A worker on
another machine cannot look at the process table of the command's: there the launcher ends it.
"""

from __future__ import annotations

import json
import os
import threading
import time
from dataclasses import asdict
from functools import cache

from bench.machine.signals import interrupt_self
from bench.record.owner import Owner, is_gone, this_process

COMMAND = "LETHE_COMMAND"
"""Environment variable that holds the identity of the command a worker works for."""
LOOK_EVERY_SECONDS = 1.0


def announce() -> None:
    """Call in the command: what it starts from now on can watch it."""
    os.environ[COMMAND] = json.dumps(asdict(this_process()), sort_keys=True)


@cache
def watch_command() -> None:
    """Call in a job: a thread ends this process once its command is gone; nothing in the command itself."""
    told = os.environ.get(COMMAND)
    command = Owner(**json.loads(told)) if told else this_process()
    if command != this_process():
        threading.Thread(target=_watch, args=(command,), daemon=True).start()


def _watch(command: Owner) -> None:
    while not is_gone(command):
        time.sleep(LOOK_EVERY_SECONDS)
    interrupt_self()
