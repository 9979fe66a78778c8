"""The name of the processor or GPU, asked of the system, so that a dry run needs no torch."""

from __future__ import annotations

import platform
from pathlib import Path


def processor_name() -> str:
    """Name of this machine's processor."""
    return _field(Path("/proc/cpuinfo"), "model name") or platform.processor() or platform.machine()


def vendor() -> str:
    """Who made the processor, as it says itself; "" where the system does not tell."""
    return _field(Path("/proc/cpuinfo"), "vendor_id")


def hardware_name(device: str) -> str:
    """Name of the hardware behind a device type (cpu, cuda, mps); "" where the system does not tell."""
    if device == "cuda":
        found = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
        return _field(found[0], "Model") if found else ""
    return processor_name()


def _field(path: Path, name: str) -> str:
    """The first value of ``name: value`` in a system file; "" without one."""
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith(name):
                return line.partition(":")[2].strip()
    return ""
