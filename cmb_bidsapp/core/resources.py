"""What this process may use: cores and memory by machine, cgroup and Slurm."""

from __future__ import annotations

import os
import re
import resource
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from cmb_bidsapp.core.errors import UnavailableError, UsageError

#: Memory to set aside for a session, in MB: twice what one takes on the paper's grid.
SESSION_MB = 4000
#: Threads of a session, unless somebody asks for a number: more hardly make it faster.
MOST_THREADS = 4


@dataclass(frozen=True)
class Limit:
    """A number and where it comes from."""

    value: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class Machine:
    """What a machine offers a run.

    Attributes
    ----------
    cpus
        Cores.
    memory
        Memory, MB.
    gpus
        Counts the CUDA devices; asked only where it matters, as it takes seconds.
    """

    cpus: Limit
    memory: Limit
    gpus: Callable[[], int]


def this_machine() -> Machine:
    """What this process may use."""
    return Machine(cpus=available_cpus(), memory=available_memory_mb(), gpus=cuda_devices)


def cuda_devices() -> int:
    """Number of GPUs that torch can use."""
    # A machine without the driver's device node has none; torch, which takes seconds, need not be
    # asked.
    if not any(Path(node).exists() for node in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg")):
        return 0
    import torch

    return int(torch.cuda.device_count())


def choose_device(wanted: str, gpus: Callable[[], int]) -> str:
    """Turn ``--device`` into one torch understands; ``auto`` falls back to the CPU.

    Parameters
    ----------
    wanted
        ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
    gpus
        Counts the CUDA devices.

    Raises
    ------
    UnavailableError
        CUDA was asked for and there is none.
    UsageError
        It is no device at all.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", wanted):
        raise UsageError(f"--device {wanted}: expected auto, cpu, cuda or cuda:N")
    if wanted == "cpu":
        return "cpu"
    found = gpus()
    if wanted == "auto":
        return "cuda" if found else "cpu"
    if int(wanted.partition(":")[2] or 0) >= found:
        raise UnavailableError(
            f"--device {wanted}: {found} CUDA device(s) here; containers need --gpus all (docker) "
            "or --nv (apptainer)"
        )
    return wanted


def available_cpus() -> Limit:
    """Cores this process may use: the smallest of affinity, cgroup quota and Slurm."""
    limits = [Limit(len(os.sched_getaffinity(0)), "all of this machine")]
    slurm = os.environ.get("SLURM_CPUS_PER_TASK", "")
    if slurm.isdecimal() and int(slurm):
        limits.append(Limit(int(slurm), "SLURM_CPUS_PER_TASK"))
    for group in _groups("cpu"):
        quota = _read(f"{group}/cpu.max").split() or [
            _read(f"{group}/cpu.{name}") for name in ("cfs_quota_us", "cfs_period_us")
        ]
        if len(quota) == 2 and quota[0].isdigit() and quota[1].isdigit():
            limits.append(Limit(max(1, int(quota[0]) // int(quota[1])), "cgroup quota"))
    return min(limits, key=lambda limit: limit.value)


def available_memory_mb() -> Limit:
    """Memory this process may use, MB: the smallest of what is free, rlimit, cgroup and Slurm."""
    found = re.search(r"MemAvailable:\s+(\d+)", _read("/proc/meminfo"))
    limits = [Limit(int(found.group(1)) // 1024, "free memory")] if found else []
    slurm = os.environ.get("SLURM_MEM_PER_NODE", "")
    # 0 stands for all of the node.
    if slurm.isdecimal() and int(slurm):
        limits.append(Limit(int(slurm), "SLURM_MEM_PER_NODE"))
    address_space = resource.getrlimit(resource.RLIMIT_AS)[0]
    if address_space != resource.RLIM_INFINITY:
        limits.append(Limit(address_space >> 20, "ulimit -v"))
    for group in _groups("memory"):
        text = _read(f"{group}/memory.max") or _read(f"{group}/memory.limit_in_bytes")
        if text.isdigit() and int(text) < 1 << 50:
            limits.append(Limit(int(text) >> 20, "cgroup limit"))
    return min(limits, key=lambda limit: limit.value, default=Limit(SESSION_MB, "unknown"))


def out_of_memory_kills() -> int | None:
    """How often the kernel has killed for want of memory, here (cgroup) or on this machine.

    ``None`` where nothing tells.
    """
    for path in (*(f"{group}/memory.events" for group in _groups("memory")), "/proc/vmstat"):
        found = re.search(r"^oom_kill (\d+)$", _read(path), re.MULTILINE)
        if found:
            return int(found.group(1))
    return None


def _groups(controller: str) -> list[str]:
    """Folders of the control groups that hold this process, the innermost first, root last.

    In a container that is the root alone; of a batch job or a service, those around it, too.
    """
    found = []
    for line in _read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        # Version 2 has one tree, named by no controller; version 1 one for each.
        if not controllers or controller in controllers.split(","):
            root = "/sys/fs/cgroup" + (f"/{controller}" if controllers else "")
            inner = PurePosixPath(path)
            found += [f"{root}{one}" for one in (inner, *inner.parents) if one.name]
    return [*found, "/sys/fs/cgroup", f"/sys/fs/cgroup/{controller}"]


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def take_blas_buffer() -> None:
    """Have OpenBLAS take its buffer while there is room: without any it waits for it for ever."""
    # numpy, which the command line does without.
    import numpy as np

    np.linalg.det(np.eye(2))


def parse_memory(text: str) -> int:
    """Memory in MB from ``8000``, ``8G``, ``1.5 GB`` and the like.

    >>> parse_memory("8000"), parse_memory("8G"), parse_memory("1.5 GB")
    (8000, 8192, 1536)
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*", text, re.IGNORECASE)
    if not found:
        raise ValueError(f"{text!r} is not an amount of memory; write 8000 (MB), 8G or 1.5GB")
    factor = {"": 1.0, "K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}
    return int(float(found.group(1)) * factor[found.group(2).upper()])


def most_sessions(cpus: int, memory_mb: int, threads: int | None) -> int:
    """Sessions that can run at the same time.

    Parameters
    ----------
    cpus, memory_mb
        What there is for all sessions together: cores, and MB.
    threads
        Of a session, where somebody asks for a number.
    """
    return max(1, min(cpus // (threads or 1), memory_mb // SESSION_MB))


def share(cpus: int, processes: int, threads: int | None, participants: int) -> tuple[int, int]:
    """Sessions at a time, and threads of each, for those that are to run.

    Sessions side by side make better use of cores than several threads of one session, so a session
    gets more than one thread only where there are fewer participants than cores.

    Parameters
    ----------
    cpus
        Cores that all sessions share.
    processes
        Sessions at a time, at most; see :func:`most_sessions`.
    threads
        Of a session, where somebody asks for a number.
    participants
        Whose sessions run; those of one participant run one after the other.
    """
    at_a_time = max(1, min(processes, participants))
    return at_a_time, min(cpus, threads or max(1, min(cpus // at_a_time, MOST_THREADS)))
