"""From raw files to a data set folder: ``python -m datasets prepare``.

``command.py`` reads the command line, ``pipeline.py`` goes through the stages, ``work.py`` keeps each
stage whole or not there, ``sources/`` knows the formats. Tables go through DuckDB, which keeps to a memory
limit and sorts and joins on disk beyond it.
"""

__all__ = ["coding", "command", "duck", "item_records", "rows", "texts"]
