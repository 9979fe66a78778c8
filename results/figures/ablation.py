"""TRU without each of its three parts (TRU, arXiv 2604.02183, Table 4), as bars beside gold."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from bench.record.names import FORGET_RECALL, TEST_RECALL
from results.figures.base import BAND, INK_COLOUR, MUTED, Figure, Pages, panels
from results.figures.source import Source, setting_title
from results.names.styles import COLOURS
from results.runs.groups import Group
from results.runs.statistics import Summary

VARIANTS = {
    "": "full",
    "gate=False": "w/o ranking gate",
    "scaling=False": "w/o modality scaling",
    "isolation=False": "w/o layer selection",
}
PRINTED = ((FORGET_RECALL, "forget recall@20"), (TEST_RECALL, "test recall@20"))


class Ablation(Figure):
    """One row of panels per setting."""

    name = "ablation"
    about = "TRU without gate, scaling or layer selection (TRU's Table 4)"
    audit = "none"
    methods = "tru"

    def command(self, source: Source) -> str:
        """The full method, and one sweep per part that is left out."""
        full = super().command(source)
        parts = ("gate", "scaling", "isolation")
        return "; ".join([full, *(full.replace("method=tru", f"method=tru method.{p}=false") for p in parts)])

    def pages(self, source: Source) -> Pages:
        """Settings with the full method and at least one variant."""
        every = {setting: variants(groups) for setting, groups in source.settings.items()}
        every = {setting: found for setting, found in every.items() if "full" in found and len(found) > 1}
        return [("_".join(setting), _page(source, setting, found)) for setting, found in every.items()]


def variants(groups: Sequence[Group]) -> dict[str, Group]:
    """The full method and its variants that were run, in the order of the paper."""
    by_options = {group.options: group for group in groups if group.method == "tru"}
    return {name: by_options[options] for options, name in VARIANTS.items() if options in by_options}


def _page(source: Source, setting: tuple[str, ...], found: dict[str, Group]) -> Canvas:
    canvas, axes = panels(len(PRINTED), (3.3, 1.0 + 0.26 * len(found)), sharey=True)
    gold = source.gold(setting)
    for ax, (metric, name) in zip(axes, PRINTED, strict=True):
        _panel(ax, {variant: group.summary(metric) for variant, group in found.items()})
        _gold(ax, gold.summary(metric) if gold else None)
        ax.set_xlim(left=0)
        ax.set_xlabel(name)
    axes[0].invert_yaxis()
    canvas.suptitle(f"TRU, {setting_title(setting)}; dashed: gold", fontsize=9)
    return canvas


def _panel(ax: Axes, found: dict[str, Summary | None]) -> None:
    for place, (variant, one) in enumerate(found.items()):
        if one is None:
            continue
        ax.barh(place, one.mean, height=0.68, color=COLOURS[0] if place == 0 else COLOURS[5], gid=variant)
        if one.deviation is not None:
            ax.errorbar(one.mean, place, xerr=one.deviation, color=INK_COLOUR, lw=0.8)
        right = one.mean + (one.deviation or 0.0)
        ax.annotate(
            f"{one.mean:.4f}",
            (right, place),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    ax.set_yticks(range(len(found)), list(found))
    ax.margins(x=0.22)
    ax.grid(True, axis="x")


def _gold(ax: Axes, gold: Summary | None) -> None:
    if gold is None:
        return
    spread = gold.deviation or 0.0
    ax.axvspan(gold.mean - spread, gold.mean + spread, color=BAND, alpha=0.6, lw=0, zorder=0)
    ax.axvline(gold.mean, color=MUTED, lw=0.9, ls="--")
