"""Data: reading, checking, splitting, deletion requests, negative sampling.

``READERS`` names every reader as ``module:Class`` so that listing the names imports nothing;
packages add theirs through the entry-point group ``lethe.readers``.
"""

READERS: dict[str, str] = {
    "synthetic": "datasets.synthetic:Synthetic",
    "mmrec": "datasets.mmrec:MMRec",
    "lifted": "datasets.lifted:LiftedMMRec",
}
