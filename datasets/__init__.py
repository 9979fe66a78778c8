"""Data: reading, checking, splitting, deletion requests, negative sampling.

``READERS`` names every reader as ``module:Class`` so that listing the names imports nothing;
packages add theirs through the entry-point group ``lethe.readers``.
"""

READERS: dict[str, str] = {
    "synthetic": "datasets.synthetic:Synthetic",
    "mmrec": "datasets.mmrec:MMRec",
    "folder": "datasets.folder:Folder",
    "recbole": "datasets.readers.recbole:RecBole",
    "parquet": "datasets.readers.parquet:Parquet",
    "lifted": "datasets.lifted:LiftedMMRec",
}
