"""How a backbone is trained: the loop, its objective, the options that all backbones share."""

__all__ = ["loop", "objective", "options", "record"]
