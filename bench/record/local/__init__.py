"""What of the record needs no MLflow:
its SQLite schema, flat parameters, finished records kept until they are sent, whether a store answers.
"""

__all__ = ["database", "faults", "parameters", "reach", "spool"]
