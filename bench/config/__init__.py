"""From overrides to a typed cell:
the schema, the composing of sweeps, registries, options read from source, tuned options.
"""

__all__ = ["compose", "registry", "schema", "source", "space", "tuned"]
