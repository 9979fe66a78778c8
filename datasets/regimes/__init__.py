"""Regimes: what kind of thing a deletion request names, one file each, all behind ``datasets.regimes.base``.

``REGIMES`` names every regime as ``module:Class``; packages add theirs through the entry-point group
``lethe.regimes``. No module here imports torch before a request is drawn.
"""

REGIMES: dict[str, str] = {
    "user": "datasets.regimes.user:UserRegime",
    "item": "datasets.regimes.item:ItemRegime",
    "interaction": "datasets.regimes.interaction:InteractionRegime",
    "poison": "datasets.regimes.poison:PoisonRegime",
    "none": "datasets.regimes.none:NoRegime",
}

__all__ = ["REGIMES", "base", "drawing", "interaction", "item", "size", "user"]
