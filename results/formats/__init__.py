"""A table written down: Markdown, LaTeX, CSV."""

__all__ = ["long_csv", "markdown", "written"]
