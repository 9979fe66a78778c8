"""Mean ranks over settings as a table."""

from __future__ import annotations

from results.distance.ranks import FEWEST_METHODS, FEWEST_SETTINGS, LEVEL, Ranks
from results.names.titles import TITLES
from results.tables.text_table import NOTHING, Text, TextTable


def ranks_table(found: Ranks) -> TextTable:
    """One row per method, the best first: mean rank, mean score, missing settings, the score in each."""
    columns = (("mean rank", ""), ("mean C", ""), ("missing", ""), *((_titled(s), "") for s in found.scores))
    rows = []
    for name, mean in found.mean_ranks.items():
        own = [_score(found.value(setting, name)) for setting in found.scores]
        texts = [Text(f"{mean:.2f}"), _score(found.mean_score(name)), Text(str(found.missing(name))), *own]
        rows.append(((name,), tuple(texts)))
    title = "Mean ranks by closeness to gold over settings"
    return TextTable("ranks", title, ("method",), columns, tuple(rows), tuple(_notes(found)))


def verdict(found: Ranks) -> str:
    """What the tests say, in one sentence."""
    if not found.methods:
        return "No method has a score: that takes five gold models (method=retrain) in a setting."
    if found.friedman is None or found.critical_difference is None:
        return (
            f"No test: Friedman's needs {FEWEST_METHODS} methods and {FEWEST_SETTINGS} settings, here are "
            f"{len(found.methods)} and {len(found.scores)}."
        )
    says = "differ" if found.friedman < LEVEL else "do not differ significantly"
    return (
        f"Friedman: p = {found.friedman:.3g} over {len(found.scores)} settings, the mean ranks {says}; two "
        f"methods differ where theirs are {found.critical_difference:.2f} apart (Nemenyi, p < {LEVEL:g})."
    )


def _titled(setting: tuple[str, ...]) -> str:
    return " ".join(TITLES.get(label, label) for label in setting)


def _score(value: float | None) -> Text:
    return Text(NOTHING) if value is None else Text(f"{value:.2f}")


def _notes(found: Ranks) -> list[str]:
    lines = [
        verdict(found),
        "C: mean of |gap to gold| in standard deviations of gold over seeds, of test recall, forget recall, "
        "membership attack and list excess, each capped at 10, over the requests and seeds that the methods "
        "share; the smaller the better.",
        "missing: settings in which a method has no score; it shares the last rank there. Ranked are default "
        "options, and tuned ones by the name of their tuning.",
    ]
    for setting, parts in found.parts.items():
        if parts:
            why = "; ".join(f"{name} ({text})" for name, text in parts.items())
            lines.append(f"{'/'.join(setting)}: not in C: {why}.")
    lines += [f"{'/'.join(setting)} has no scores: {why}." for setting, why in found.unscored.items()]
    return lines
