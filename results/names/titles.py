"""Printed names of backbones, data sets and methods."""

from __future__ import annotations

TITLES = {
    "mgcn": "MGCN",
    "mig_gt": "MIG-GT",
    "bpr": "BPR",
    "vbpr": "VBPR",
    "lightgcn": "LightGCN",
    "mmgcn": "MMGCN",
    "dualgnn": "DualGNN",
    "lattice": "LATTICE",
    "bm3": "BM3",
    "ease": "EASE",
    "itemknn": "ItemKNN",
    "freedom": "FREEDOM",
    "slmrec": "SLMRec",
    "lgmrec": "LGMRec",
    "baby": "Baby",
    "sports": "Sports",
    "clothing": "Clothing",
    "original": "Original",
    "retrain": "Retrain (gold)",
    "exact": "Exact",
    "sisa": "SISA",
    "receraser": "RecEraser",
    "ultrare": "UltraRE",
    **{
        f"{method}_{shards}": f"{title}, {shards} shards"
        for method, title in (("sisa", "SISA"), ("receraser", "RecEraser"), ("ultrare", "UltraRE"))
        for shards in (2, 3, 5, 10)
    },
    "cragru": "CRAGRU",
    "cragru_no_llm": "CRAGRU (no LLM)",
    "multidelete": "MultiDelete",
    "scalegun": "ScaleGUN",
    "unlearnrec": "UnlearnRec",
    "mmrecun": "MMRecUn",
    "tru": "TRU",
    "tru_without_gate": "TRU w/o ranking gate",
    "tru_without_scaling": "TRU w/o modality scaling",
    "tru_without_isolation": "TRU w/o layer selection",
}
"""Printed names; what is not listed is printed by its name in ``conf``."""
