"""Audits: does the model still know what it was asked to forget? One file each.

``AUDITS`` names every audit as ``module:Class``. An audit reports the same figures for the original,
the gold and the unlearned model; what counts is the distance to gold's. An audit that raises fails
its cell. An audit that claims to detect memory, or rows out of place, says so (``MemoryClaim`` and
``TraceClaim`` in ``bench.audits.base``) and is itself audited on data with a planted structure
(tests/bench/audits/test_every_audit.py). Other packages add audits under the entry-point group
``lethe.audits``.
"""

__all__ = ["AUDITS", "base", "item_vectors", "matching", "options", "statistics"]

AUDITS: dict[str, str] = {
    "membership_score": "bench.audits.membership.score:MembershipScore",
    "membership_shadow": "bench.audits.membership.shadow:MembershipShadow",
    "onion": "bench.audits.membership.onion:Onion",
    "relearn": "bench.audits.memory.relearn:Relearn",
    "return": "bench.audits.memory.put_back:PutBack",
    "trace": "bench.audits.memory.trace:Trace",
    "popularity": "bench.audits.behaviour.popularity:Popularity",
    "representation": "bench.audits.behaviour.representation:Representation",
    "fairness": "bench.audits.behaviour.fairness:Fairness",
    "backdoor": "bench.audits.poison.backdoor:Backdoor",
    "spam": "bench.audits.poison.spam:Spam",
}
