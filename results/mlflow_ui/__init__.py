"""What makes MLflow's own pages readable: means over seeds, descriptions, saved views, pages of sweeps."""

__all__ = ["command"]
