"""The data card: what a data set holds, as Markdown and as a page (``python -m datasets card NAME``)."""

__all__ = ["command", "content", "render"]
