"""How a backbone is trained: the loop, its objective, the options that all backbones share."""

__all__ = ["checkpoint", "likeness", "loop", "objective", "options", "record"]
