"""One override and one value: how it is written on a command line, and what a value may be at all."""

__all__ = ["grammar", "stated", "values"]
