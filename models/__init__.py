"""Backbones: one file each, all behind the contract in ``models.base``.

``BACKBONES`` names every backbone as ``module:Class`` so that listing the names imports nothing;
packages add theirs through the entry-point group ``lethe.backbones``.
"""

BACKBONES: dict[str, str] = {
    "bm3": "models.bm3:BM3",
    "bpr": "models.bpr:BPR",
    "dualgnn": "models.dualgnn:DualGNN",
    "ease": "models.ease:EASE",
    "freedom": "models.freedom:FREEDOM",
    "itemknn": "models.itemknn:ItemKNN",
    "lattice": "models.lattice:LATTICE",
    "lgmrec": "models.lgmrec:LGMRec",
    "lightgcn": "models.lightgcn:LightGCN",
    "mgcn": "models.mgcn:MGCN",
    "mig_gt": "models.mig_gt:MIGGT",
    "mmgcn": "models.mmgcn:MMGCN",
    "slmrec": "models.slmrec:SLMRec",
    "vbpr": "models.vbpr:VBPR",
}
