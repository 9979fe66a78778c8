"""This machine: devices, hardware names, clocks, seeds, and what makes results reproducible on it."""

__all__ = ["background", "devices", "hardware", "process", "seeding", "signals", "timing"]
