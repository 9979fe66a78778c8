"""Item features from text and pictures, and from feature files.

``TEXT`` and ``IMAGE`` name every extractor as ``module:Class``, so that listing the names imports nothing.
``tfidf`` and ``histogram`` need no model and are labelled so; the others read a local model folder through
a library of the optional extra ``features``.
"""

__all__ = ["IMAGE", "OFFLINE", "TEXT", "base", "cache"]


TEXT: dict[str, str] = {
    "tfidf": "datasets.features.tfidf:TfidfSvd",
    "sentence-transformers": "datasets.features.sentence:SentenceEncoder",
}

IMAGE: dict[str, str] = {
    "histogram": "datasets.features.histogram:Histograms",
    "torchvision": "datasets.features.vision_torchvision:TorchvisionEncoder",
    "timm": "datasets.features.vision_timm:TimmEncoder",
    "open-clip": "datasets.features.vision_clip:ClipEncoder",
}

OFFLINE = {"text": "tfidf", "image": "histogram"}
"""What is extracted where nothing else is asked for."""
