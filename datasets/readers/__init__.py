"""Readers of further layouts; ``datasets.mmrec`` and ``datasets.synthetic`` are beside this package."""
