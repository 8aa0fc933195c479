"""A system call filter for the rest of a process's life, for calls that Landlock does not control.

Landlock (`NexusCore.confinement`) controls opening, creating and removing files. The owner of a file may also change
its mode, owner, times and attributes without opening it, and a process may access others of the same user. A seccomp
filter (seccomp(2), filter programs as in Documentation/userspace-api/seccomp_filter.rst of the kernel) refuses these
calls with EACCES, and all new sockets, since Landlock controls neither UDP nor sockets with a path.

The filter applies to the calling thread and those it starts later.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
from collections.abc import Iterator

_NO_NEW_PRIVILEGES, _SET_SECCOMP, _FILTER = 38, 22, 2
_LOAD, _AND, _EQUAL, _AT_LEAST, _ANY_BIT, _GIVE = 0x20, 0x54, 0x15, 0x35, 0x45, 0x06
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_X32 = 0x40000000
"""Numbers from here on are calls of x32."""

_ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH by machine (linux/audit.h)."""
_COLUMN = {"x86_64": 0, "aarch64": 1}
_REFUSED: dict[str, tuple[int | None, int | None]] = {
    # Call: its number on x86-64 (arch/x86/entry/syscalls/syscall_64.tbl) and on ARM64 (scripts/syscall.tbl, until 6.10
    # include/uapi/asm-generic/unistd.h); None where that has no such call. From 403 on they are the same.
    # a file's mode, owner, times and attributes
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "utime": (132, None), "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
    "file_setattr": (469, 469),
    "truncate": (76, 45),  # by name; Landlock knows it from Linux 6.2 on
    "quotactl": (179, 60), "quotactl_fd": (443, 443), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    # the tree of files, and namespaces
    "chroot": (161, 51), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430), "fsconfig": (431, 431),
    "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442), "open_tree_attr": (467, 467),
    "unshare": (272, 97), "setns": (308, 268),
    # programs; Landlock lets files that exist in memory only be run
    "execve": (59, 221), "execveat": (322, 281), "memfd_create": (319, 279),
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438), "process_madvise": (440, 440),
    "process_mrelease": (448, 448), "migrate_pages": (256, 238), "move_pages": (279, 239),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "setpriority": (141, 140), "ioprio_set": (251, 30), "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119), "sched_setparam": (142, 118), "sched_setattr": (314, 274),
    # memory, queues and semaphores that processes of a user share by number or name
    "shmget": (29, 194), "shmat": (30, 196), "shmctl": (31, 195), "semget": (64, 190), "semop": (65, 193),
    "semctl": (66, 191), "semtimedop": (220, 192), "msgget": (68, 186), "msgsnd": (69, 189), "msgrcv": (70, 188),
    "msgctl": (71, 187), "mq_open": (240, 180), "mq_unlink": (241, 181),
    # the kernel
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280),
    "perf_event_open": (298, 241), "userfaultfd": (323, 282), "syslog": (103, 116), "acct": (163, 89),
    "swapon": (167, 224), "swapoff": (168, 225), "reboot": (169, 142), "sethostname": (170, 161),
    "setdomainname": (171, 162), "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171),
    "clock_adjtime": (305, 266), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "iopl": (172, None), "ioperm": (173, None),
    # the network; io_uring makes sockets, and opens files, without the calls for it
    "socket": (41, 198), "io_uring_setup": (425, 425),
}  # fmt: skip
_CLONE, _CLONE3, _PRLIMIT64, _KILL, _TGKILL, _IOCTL, _FCNTL = (
    ((56, 220), (435, 435), (302, 261), (62, 129), (234, 131), (16, 29), (72, 25))
)  # fmt: skip
"""Calls that are refused with some arguments only; sources as above."""
_NEW_NAMESPACES = 0x7E020000
"""The flags CLONE_NEW* of clone(2) (linux/sched.h); that of time is only for calls that are refused."""
_TERMINALS = 0x5400
"""The requests of ioctl(2) on terminals and pipes (asm-generic/ioctls.h); others change flags of files, or a device."""
_SIGNALS_OF_FILES = (8, 10, 15)
"""F_SETOWN, F_SETSIG and F_SETOWN_EX of fcntl(2): they have the kernel send signals to any process of the user."""

_Steps = Iterator[tuple[int, int, int, int]]


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint16), ("filter", ctypes.POINTER(_Instruction)))


def refuse_calls() -> bool:
    """Refuse the calls to this process; return False on an unsupported architecture."""
    machine = platform.machine() if platform.system() == "Linux" else ""
    if machine not in _ARCHITECTURES:
        return False
    steps = list(_program(machine, os.getpid()))
    program = (_Instruction * len(steps))(*(_Instruction(*step) for step in steps))
    no_new_privileges()
    loaded = _Program(len(steps), ctypes.cast(program, ctypes.POINTER(_Instruction)))
    _prctl(_SET_SECCOMP, ctypes.c_ulong(_FILTER), ctypes.byref(loaded))
    return True


def no_new_privileges() -> None:
    """Prevent gaining privileges by starting programs, which the kernel requires before a confinement."""
    _prctl(_NO_NEW_PRIVILEGES, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))


def _program(machine: str, process: int) -> _Steps:
    """Yield the filter's instructions: code, steps to skip if true, steps to skip if false, operand."""
    column = _COLUMN[machine]
    refuse = (_GIVE, 0, 0, _FAIL | errno.EACCES)
    yield _LOAD, 0, 0, 4  # the architecture of the call: another one's numbers mean other calls
    yield _EQUAL, 1, 0, _ARCHITECTURES[machine]
    yield refuse
    yield _LOAD, 0, 0, 0  # the call's number
    yield _AT_LEAST, 0, 1, _X32
    yield refuse
    # the flags lie in memory, where a filter cannot look: libraries then use clone(2)
    yield _EQUAL, 0, 1, _CLONE3[column]
    yield _GIVE, 0, 0, _FAIL | errno.ENOSYS
    yield from _with_argument(_CLONE[column], 0, (_ANY_BIT, 1, 0, _NEW_NAMESPACES))
    yield from _with_argument(_PRLIMIT64[column], 0, (_EQUAL, 0, 1, 0))  # process 0 is the one that calls
    for number in (_KILL[column], _TGKILL[column]):
        yield from _with_argument(number, 0, (_EQUAL, 0, 1, process))
    yield from _with_argument(_IOCTL[column], 1, (_AND, 0, 0, 0xFFFFFF00), (_EQUAL, 0, 1, _TERMINALS))
    never = [(_EQUAL, len(_SIGNALS_OF_FILES) - at, 0, operation) for at, operation in enumerate(_SIGNALS_OF_FILES)]
    yield from _with_argument(_FCNTL[column], 1, *never)
    refused = [call_number for call in _REFUSED.values() if (call_number := call[column]) is not None]
    for at, call_number in enumerate(refused):
        yield _EQUAL, len(refused) - at, 0, call_number
    yield _GIVE, 0, 0, _ALLOW
    yield refuse


def _with_argument(number: int, argument: int, *tests: tuple[int, int, int, int]) -> _Steps:
    """Yield the instructions for one call that depends on an argument: the last test allows it, or skips that."""
    yield _EQUAL, 0, len(tests) + 3, number
    yield _LOAD, 0, 0, _argument(argument)
    yield from tests
    yield _GIVE, 0, 0, _ALLOW
    yield _GIVE, 0, 0, _FAIL | errno.EACCES


def _argument(position: int) -> int:
    """Return the offset of the lower half of an argument, which is all of an int (little-endian)."""
    return 16 + 8 * position


def _prctl(option: int, *arguments: object) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(ctypes.c_int(option), *arguments) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
