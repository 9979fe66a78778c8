"""Streams: deletion requests one after another, one kind per file, all behind ``datasets.streams.base``.

``STREAMS`` names every kind as ``module:Class``; packages add theirs through the entry-point group
``lethe.streams``. No module here imports torch before a stream is drawn.
"""

STREAMS: dict[str, str] = {
    "none": "datasets.streams.none:NoStream",
    "users": "datasets.streams.users:UserStream",
    "spam": "datasets.streams.spam:SpamStream",
    "sensitive": "datasets.streams.sensitive:SensitiveStream",
    "file": "datasets.streams.file:FileStream",
}

__all__ = ["STREAMS", "base", "composing", "options"]
