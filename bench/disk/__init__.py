"""Files that are whole or not there, locks that die with their holder, disks that are full."""

__all__ = ["files", "locks", "owned", "space"]
