"""Audits: does the model still know what it was asked to forget? One file each.

``AUDITS`` names every audit as ``module:Class``. An audit reports the same figures for the original,
the gold and the unlearned model; what counts is the distance to gold's. An audit that raises fails
its cell. An audit that claims to detect memory says so (``bench.audits.base.MemoryClaim``) and is itself
audited on data with a planted structure (tests/bench/audits/test_every_audit.py).
"""

AUDITS: dict[str, str] = {
    "membership_score": "bench.audits.membership_score:MembershipScore",
    "membership_shadow": "bench.audits.membership_shadow:MembershipShadow",
    "onion": "bench.audits.onion:Onion",
    "relearn": "bench.audits.relearn:Relearn",
    "popularity": "bench.audits.popularity:Popularity",
    "representation": "bench.audits.representation:Representation",
    "fairness": "bench.audits.fairness:Fairness",
    "backdoor": "bench.audits.backdoor:Backdoor",
    "spam": "bench.audits.spam:Spam",
}
