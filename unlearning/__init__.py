"""Unlearning methods: one file each, all behind the contract in ``unlearning.base``.

``METHODS`` names every method as ``module:Class`` so that listing the names imports nothing;
packages add theirs through the entry-point group ``lethe.methods``.
"""

METHODS: dict[str, str] = {
    "original": "unlearning.original:Original",
    "retrain": "unlearning.retrain:Retrain",
    "graph_only": "unlearning.graph_only:GraphOnly",
    "reset": "unlearning.reset:Reset",
    "exact": "unlearning.exact:Exact",
    "finetune": "unlearning.finetune:Finetune",
    "mmrecun": "unlearning.mmrecun:MMRecUn",
    "tru": "unlearning.tru:TRU",
    "reverse_tables": "unlearning.reverse_tables:ReverseTables",
    "neg_grad": "unlearning.neg_grad:NegGrad",
    "neg_grad_plus": "unlearning.neg_grad_plus:NegGradPlus",
    "relabel": "unlearning.relabel:Relabel",
    "ssd": "unlearning.ssd:SSD",
    "rrl": "unlearning.rrl:RRL",
    "bad_teacher": "unlearning.bad_teacher:BadTeacher",
    "scrub": "unlearning.scrub:SCRUB",
    "sisa": "unlearning.sisa:SISA",
    "receraser": "unlearning.receraser:RecEraser",
    "ultrare": "unlearning.ultrare:UltraRE",
    "multidelete": "unlearning.multidelete:MultiDelete",
    "scalegun": "unlearning.scalegun:ScaleGUN",
    "cragru": "unlearning.cragru:CRAGRU",
    "cragru_no_llm": "unlearning.cragru_no_llm:CRAGRUNoLLM",
    "unlearnrec": "unlearning.unlearnrec:UnlearnRec",
    "scif": "unlearning.scif:SCIF",
    "ifru": "unlearning.ifru:IFRU",
    "gif": "unlearning.gif:GIF",
    "ceu": "unlearning.ceu:CEU",
    "idea": "unlearning.idea:IDEA",
    "gnndelete": "unlearning.gnndelete:GNNDelete",
    "kookmin": "unlearning.kookmin:Kookmin",
    "fanchuan": "unlearning.fanchuan:Fanchuan",
    "seif": "unlearning.seif:SEIF",
}

GOLD_METHOD = "retrain"
REFERENCE_METHODS = ("original", GOLD_METHOD)
"""Reference systems, which approximate methods are held against; never marked as best."""

CONTROL_METHODS = ("graph_only", "reset")
"""Controls, which cost next to nothing: being fast is no merit of theirs."""
