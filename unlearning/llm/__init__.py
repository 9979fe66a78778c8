"""Asking language models: backends behind one protocol, answers that are kept and deleted, what it all
took."""

__all__ = ["answers", "asking", "http", "kept", "local", "options"]
