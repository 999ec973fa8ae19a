"""Windows: a job object that ends a process and its descendants when its last handle closes."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import IO

assert sys.platform == "win32", "job objects exist on Windows only"

from ctypes import wintypes  # noqa: E402 - only defined there

KILL_ON_JOB_CLOSE = 0x2000
EXTENDED_LIMIT_INFORMATION = 9


class BasicLimits(ctypes.Structure):
    _fields_ = [
        ("PerProcessUserTimeLimit", wintypes.LARGE_INTEGER),
        ("PerJobUserTimeLimit", wintypes.LARGE_INTEGER),
        ("LimitFlags", wintypes.DWORD),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", wintypes.DWORD),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", wintypes.DWORD),
        ("SchedulingClass", wintypes.DWORD),
    ]


class ExtendedLimits(ctypes.Structure):
    _fields_ = [
        ("BasicLimitInformation", BasicLimits),
        ("IoInfo", ctypes.c_ulonglong * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    ]


class JobTie:
    """A process in a job of its own; the only handle of the job belongs to the starter."""

    def __init__(self, command: list[str], *, cwd: Path, env: dict[str, str], output: IO[bytes] | int):
        self._kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        self._kernel.CreateJobObjectW.restype = wintypes.HANDLE
        self._job = wintypes.HANDLE(self._kernel.CreateJobObjectW(None, None))
        limits = ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = KILL_ON_JOB_CLOSE
        self._kernel.SetInformationJobObject(
            self._job, EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
        )
        # A process group of its own: Ctrl-C in the console reaches dev.py, which stops things in order.
        self.process = subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            creationflags=subprocess.CREATE_NEW_PROCESS_GROUP,
        )
        handle = wintypes.HANDLE(int(self.process._handle))  # pyright: ignore
        if not self._kernel.AssignProcessToJobObject(self._job, handle):
            self.process.kill()
            raise ctypes.WinError(ctypes.get_last_error())

    def sweep(self) -> None:
        self._kernel.TerminateJobObject(self._job, 1)
        self._kernel.CloseHandle(self._job)
