"""How far from gold: list distances, gaps in gold's units, closeness, ranks, and the bootstrap."""

__all__ = ["bootstrap", "closeness", "gaps", "lists", "ranks", "rows", "significance"]
