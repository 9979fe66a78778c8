"""A stream of requests in one cell: served in turn, measured at checkpoints, resumed between two requests."""

__all__ = ["run"]
