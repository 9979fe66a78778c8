"""The one place that knows device names: resolving, describing and synchronising them."""

from __future__ import annotations

import os
import resource
import sys
from dataclasses import dataclass

import torch

from bench.machine.hardware import processor_name
from datasets.errors import InputError

GIB = 1024**3


@dataclass(frozen=True)
class DeviceInfo:
    """What a time was measured on; a speed-up is only formed between equal ones."""

    type: str
    name: str
    threads: int


def resolve(name: str) -> torch.device:
    """``auto`` takes cuda, then mps, then cpu. Raises ``InputError`` for one that is not there."""
    if name == "auto":
        return torch.device(auto_type())
    try:
        device = torch.device(name)
    except (RuntimeError, ValueError, OverflowError) as error:
        raise InputError(f"device={name} is not a device: use auto, cpu, cuda, cuda:<n> or mps.") from error
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, False):
        raise InputError(f"device={name} is not available on this machine: use device=auto or device=cpu.")
    return device


def auto_type() -> str:
    """The best device type of this machine."""
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def describe(device: torch.device) -> DeviceInfo:
    """Hardware name and thread count behind ``device``."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name()
    return DeviceInfo(device.type, name, torch.get_num_threads())


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished, so that a clock reads work done, not work queued."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def reset_peak_memory(device: torch.device) -> None:
    """Begin a new peak, where the device keeps one that can begin anew."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def peak_memory(device: torch.device) -> float:
    """GiB at the peak: allocated on a CUDA device since ``reset_peak_memory``, held by the driver on mps, and
    resident in this process since its start on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / GIB
    if device.type == "mps":
        return torch.mps.driver_allocated_memory() / GIB
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB


def share_threads(threads: int | None, jobs: int) -> None:
    """Set this process's CPU threads: as asked, or an even share of the cores it may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    torch.set_num_threads(threads or max(1, cores // jobs))
