"""How things are called and look, said once: titles, styles, headline quantities."""

__all__ = ["headlines", "store", "styles", "titles"]
