"""What a speed-up needs to be marked, and why there is none."""

from __future__ import annotations

from collections.abc import Sequence

from bench.measure.selection import has_forgotten
from bench.record.names import CONTENDED, FORGET_RECALL, SPEEDUP
from results.runs.groups import Group, gold_for
from unlearning import CONTROL_METHODS

SECONDS = "time/unlearn_seconds"
RULE = (
    "speed-up: retrain's seconds to its best epoch over the method's; marked only for methods that forget, "
    "whose forget recall is at least half of the way from original's to retrain's, and not for controls."
)
SHARED = "processors were shared with others while one of the two clocks ran; such a speed-up takes no mark"


def may_be_marked(group: Group, setting: Sequence[Group]) -> bool:
    """Whether a row's speed-up may be marked: it is no control, and it is known to forget.

    Args:
        setting: all rows of its setting, with original and gold.
    """
    if group.method in CONTROL_METHODS or is_contended(group):
        return False
    original = next((one for one in setting if one.method == "original"), None)
    golds = gold_for(group, setting)
    means = [one.summary(FORGET_RECALL) if one else None for one in (group, original, golds)]
    if any(found is None for found in means):
        return False
    return has_forgotten(*(found.mean for found in means if found is not None))


def is_contended(group: Group) -> bool:
    """Whether a clock behind a row's speed-up had to share its processors."""
    return any(group.values(CONTENDED).values())


def why_not(group: Group) -> str:
    """Why a row has no speed-up; "" where it has one."""
    if group.summary(SPEEDUP) is not None:
        return ""
    if group.method == "original":
        return "original: nothing is unlearned"
    seconds = group.summary(SECONDS)
    if seconds is None:
        return "its time was not recorded"
    if seconds.mean == 0:
        return "it takes no time of its own"
    return "gold was trained on another device or with other threads: the times do not compare"
