import os
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cmb_bidsapp.core import resources
from cmb_bidsapp.core.errors import UsageError
from cmb_bidsapp.core.resources import (
    MOST_THREADS,
    SESSION_MB,
    choose_device,
    cuda_devices,
    most_sessions,
    parse_memory,
    share,
)

quick = settings(max_examples=50)


@pytest.fixture
def machine(monkeypatch):
    """A machine of 16 cores and 64 GB without cgroup limits or Slurm; tests add what they need."""
    files = {"/proc/meminfo": "MemTotal: 99999999 kB\nMemAvailable:   67108864 kB"}
    monkeypatch.setattr(resources, "_read", lambda path: files.get(path, ""))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    infinity = resources.resource.RLIM_INFINITY
    monkeypatch.setattr(resources.resource, "getrlimit", lambda _: (infinity, infinity))
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_MEM_PER_NODE"):
        monkeypatch.delenv(name, raising=False)
    return files


def test_the_machine_alone_is_the_limit(machine):
    assert resources.available_cpus().value == 16
    assert resources.available_memory_mb().value == 65536


@pytest.mark.parametrize(
    ("files", "cpus"),
    [
        ({"/sys/fs/cgroup/cpu.max": "250000 100000"}, 2),
        ({"/sys/fs/cgroup/cpu.max": "50000 100000"}, 1),
        ({"/sys/fs/cgroup/cpu.max": "max 100000"}, 16),
        (
            {
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "400000",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            4,
        ),
        (
            {
                "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            16,
        ),
        ({"/sys/fs/cgroup/cpu.max": "6400000 100000"}, 16),
        (
            {
                "/proc/self/cgroup": "4:cpu,cpuacct:/job",
                "/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us": "300000",
                "/sys/fs/cgroup/cpu/job/cpu.cfs_period_us": "100000",
            },
            3,
        ),
    ],
)
def test_cores_are_limited_by_the_cgroup(machine, files, cpus):
    machine.update(files)
    assert resources.available_cpus().value == cpus


@pytest.mark.parametrize(
    ("files", "memory"),
    [
        ({"/sys/fs/cgroup/memory.max": str(8 << 30)}, 8192),
        ({"/sys/fs/cgroup/memory.max": "max"}, 65536),
        ({"/sys/fs/cgroup/memory/memory.limit_in_bytes": str(4 << 30)}, 4096),
        ({"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712"}, 65536),
        (
            {
                "/proc/self/cgroup": "0::/system.slice/job.scope",
                "/sys/fs/cgroup/system.slice/job.scope/memory.max": "max",
                "/sys/fs/cgroup/system.slice/memory.max": str(6 << 30),
            },
            6144,
        ),
        (
            {
                "/proc/self/cgroup": "4:cpu,cpuacct:/\n3:memory:/slurm/job_7\n0::/",
                "/sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes": str(3 << 30),
                "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712",
            },
            3072,
        ),
    ],
)
def test_memory_is_limited_by_the_cgroup(machine, files, memory):
    machine.update(files)
    assert resources.available_memory_mb().value == memory


def test_slurm_limits_what_is_used_and_is_named(machine, monkeypatch):
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "3")
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "12000")
    cpus, memory = resources.available_cpus(), resources.available_memory_mb()
    assert (cpus.value, cpus.reason) == (3, "SLURM_CPUS_PER_TASK")
    assert (memory.value, memory.reason) == (12000, "SLURM_MEM_PER_NODE")


def test_the_address_space_is_a_limit(machine, monkeypatch):
    monkeypatch.setattr(resources.resource, "getrlimit", lambda _: (6 << 30, 6 << 30))
    memory = resources.available_memory_mb()
    assert (memory.value, memory.reason) == (6144, "ulimit -v")


def test_a_real_limit_of_the_shell_admits_as_many_sessions_as_fit():
    code = (
        "from cmb_bidsapp.core.resources import available_memory_mb, most_sessions\n"
        "memory = available_memory_mb()\n"
        "print(memory.value, memory.reason.replace(' ', ''), most_sessions(8, memory.value, 1))"
    )
    limited = f'ulimit -v {2 * SESSION_MB * 1024} && exec {sys.executable} -c "$CODE"'
    told = subprocess.run(
        ["sh", "-c", limited],
        env={**os.environ, "CODE": code, "SLURM_MEM_PER_NODE": ""},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    memory, reason, processes = int(told[0]), told[1], int(told[2])
    assert memory <= 2 * SESSION_MB
    assert processes == max(1, memory // SESSION_MB)
    # Where less memory is free than that, it is the limit.
    assert reason == "ulimit-v" or memory < 2 * SESSION_MB


def test_unknown_memory_is_enough_for_one_session(machine):
    machine.clear()
    assert resources.available_memory_mb().value == SESSION_MB


def test_the_files_of_this_machine_can_be_read():
    assert resources.available_cpus().value >= 1
    assert resources.available_memory_mb().value >= 1


USED_UP = """\
import re, resource
from pathlib import Path
import numpy as np
from cmb_bidsapp.core.resources import take_blas_buffer
take_blas_buffer()
used = int(re.search(r"VmSize:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) << 10
resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 20),) * 2)
print(np.ones((99, 99)) @ np.ones(99))
"""


def test_without_memory_nothing_is_waited_for():
    subprocess.run([sys.executable, "-c", USED_UP], timeout=120, check=True)


@quick
@given(st.integers(1, 10**6))
def test_units_of_memory(amount):
    assert parse_memory(f"{amount}") == amount
    assert parse_memory(f" {amount} mb ") == amount
    assert parse_memory(f"{amount}G") == parse_memory(f"{amount} GiB") == 1024 * amount
    assert parse_memory(f"{amount}T") == 1024 * parse_memory(f"{amount}gb")
    assert parse_memory(f"{amount * 1024}K") == amount


@pytest.mark.parametrize("text", ["", "lots", "-8G", "8 X", "8GG", "1e3", "G", "8,5G"])
def test_what_is_no_amount_of_memory_is_refused_with_what_is(text):
    with pytest.raises(ValueError, match="8G"):
        parse_memory(text)


@quick
@given(
    st.integers(1, 512), st.integers(0, 10**7), st.none() | st.integers(1, 512), st.integers(1, 99)
)
def test_shares_fit_into_what_there_is(cpus, memory, threads, participants):
    processes, each = share(cpus, most_sessions(cpus, memory, threads), threads, participants)
    assert 1 <= processes <= participants
    assert 1 <= each <= (threads or MOST_THREADS)
    assert processes * each <= cpus
    assert processes == 1 or processes * SESSION_MB <= memory


@pytest.mark.parametrize(
    ("cpus", "memory", "threads", "participants", "expected"),
    [
        (16, 10**6, None, 100, (16, 1)),
        (16, 10**6, None, 5, (5, 3)),
        (16, 10**6, None, 1, (1, 4)),
        (2, 10**6, None, 1, (1, 2)),
        (2, 10**6, None, 2, (2, 1)),
        (16, 2 * SESSION_MB, None, 100, (2, 4)),
        (16, 100, None, 100, (1, 4)),
        (16, 10**6, 1, 100, (16, 1)),
        (16, 10**6, 2, 100, (8, 2)),
        (4, 10**6, 8, 100, (1, 4)),
    ],
)
def test_shares_use_what_there_is(cpus, memory, threads, participants, expected):
    most = most_sessions(cpus, memory, threads)
    assert share(cpus, most, threads, participants) == expected


@pytest.mark.parametrize(
    ("files", "kills"),
    [
        ({}, None),
        ({"/proc/vmstat": "nr_free_pages 5\noom_kill 3\n"}, 3),
        ({"/sys/fs/cgroup/memory.events": "oom 2\noom_kill 1\noom_group_kill 0"}, 1),
    ],
)
def test_the_kernel_tells_of_kills_for_want_of_memory(monkeypatch, files, kills):
    monkeypatch.setattr(resources, "_read", lambda path: files.get(path, ""))
    assert resources.out_of_memory_kills() == kills


@pytest.mark.usefixtures("no_gpu")
def test_auto_without_a_gpu_is_the_cpu():
    assert choose_device("auto", cuda_devices) == "cpu"
    assert choose_device("cpu", cuda_devices) == "cpu"


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "CUDA", "cpu:0", "cuda:-1"])
def test_what_is_no_device_is_a_usage_error(device):
    with pytest.raises(UsageError, match="cuda:N"):
        choose_device(device, cuda_devices)
