"""Machines for tests that set services up for real: with users, groups and init scripts of their own.

`OwnNamespace` is this machine, on which the test changes only layers above the folders of the system; `MinimalDebian`
is a fresh Debian in a folder. Both live in a namespace of mounts and processes of the kernel: when its first process
ends, everything that was started or mounted in it is gone.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PLACE = Path("/opt/nexuscore")
"""Where the project is on such a machine."""
LIMIT = 60.0
"""Seconds that a command may take."""
LAYERS = ("etc", "var/lib", "var/log", "home", "root", "opt")
"""Folders of the system that a test may change."""
PARTS = ("install.sh", "setup.py", "pyproject.toml", "Install", "NexusCore", "Services", "Tools", "Logger")
MIRROR = "http://deb.debian.org/debian"


class Unsuitable(Exception):
    """This machine cannot run such a test; the message says why."""


class RealMachine:
    """A machine in a namespace of its own, to be closed.

    Parameters
    ----------
    setup
        Shell commands that mount what the machine needs, run in the new namespace.
    root
        Folder of the machine's root; None for that of this machine.
    """

    def __init__(self, setup: str, root: Path | None = None) -> None:
        self._root = root
        self._first = subprocess.Popen(
            ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", f"{setup}\necho ready\nexec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._first.stdout is not None
        if self._first.stdout.readline() != "ready\n":
            _, reason = self._first.communicate(timeout=LIMIT)
            raise Unsuitable(f"namespaces or mounts are not allowed here: {reason.strip()}")
        children = Path(f"/proc/{self._first.pid}/task/{self._first.pid}/children").read_text()
        self._pid = children.split()[0]

    def close(self) -> None:
        """End the machine, with all that runs on it."""
        self._first.communicate(timeout=LIMIT)

    def run(
        self, command: str, user: str = "root", *, limit: float = LIMIT, entered: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as if its user had just logged in, in the project's folder."""
        inside = ["runuser", "-l", user, "-c", f"cd {PLACE} && {command}"]
        if self._root is not None:
            inside = ["chroot", str(self._root), "/usr/sbin/runuser", *inside[1:]]
        return subprocess.run(
            ["nsenter", f"--target={self._pid}", "--mount", "--pid", "--", *inside],
            input=entered, capture_output=True, text=True, timeout=limit, check=False,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"},
        )  # fmt: skip

    def done(self, command: str, user: str = "root", *, limit: float = LIMIT, entered: str = "") -> str:
        """Run a command that is to succeed; return what it printed."""
        done = self.run(command, user, limit=limit, entered=entered)
        assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def eventually(self, command: str, user: str, text: str) -> str:
        """Repeat a command until what it prints matches a pattern; return that."""
        until = time.monotonic() + LIMIT
        while True:
            printed = self.run(command, user).stdout
            if re.search(text, printed):
                return printed
            assert time.monotonic() < until, f"{command} never printed {text}, but:\n{printed}"
            time.sleep(0.2)


def _check_rights() -> None:
    if sys.platform != "linux" or os.geteuid() != 0:
        raise Unsuitable("real users and init scripts need root on Linux")
    for program in ("unshare", "nsenter", "runuser", "useradd", "start-stop-daemon"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            raise Unsuitable(f"the program {program} is missing: the init scripts are for systems of Debian's kind")


def own_namespace(folder: Path) -> RealMachine:
    """Return this machine with layers above its folders, and with the project and its environment in `PLACE`.

    Raises
    ------
    Unsuitable
    """
    _check_rights()
    if subprocess.run(["getent", "passwd", "nexuscore"], capture_output=True, check=False).returncode == 0:
        raise Unsuitable("this machine has services of NexusCore already")
    project = folder / "project"
    project.mkdir()
    for name in PARTS:
        if (PROJECT / name).is_dir():
            shutil.copytree(PROJECT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(PROJECT / name, project)
    environment = project / ".venv"
    (environment / "installed").mkdir(parents=True)
    shutil.copy(Path(sys.prefix, "pyvenv.cfg"), environment)
    names = ("setup.py", "pyproject.toml", "Install/constraints.txt")
    state = f"{PLACE}\n" + "".join((project / name).read_text() for name in names)
    for extra in ("setup", "services", "logger"):
        (environment / "installed" / extra).write_text(sha256(state.encode()).hexdigest())
    for name in ("bin", "lib"):
        (environment / name).mkdir()
    (folder / "upper").mkdir()
    upper = shlex.quote(str(folder / "upper"))
    lines = ["mount --make-rprivate /", f"mount -t tmpfs tmpfs {upper}"]
    for layer in LAYERS:
        above = f"{upper}/{layer.replace('/', '-')}"
        lines += [
            f"mkdir {above} {above}.work",
            f"chmod --reference=/{layer} {above}",
            f"mount -t overlay overlay -o lowerdir=/{layer},upperdir={above},workdir={above}.work /{layer}",
        ]
    lines += [
        f"chmod a+x {upper}/root",  # the Python of the environment may be there
        "mount -t tmpfs -o mode=755 tmpfs /run",
        "mount -t proc proc /proc",
        f"mkdir -p {PLACE}",
        f"mount --bind {shlex.quote(str(project))} {PLACE}",
        *(f"mount --bind {shlex.quote(str(Path(sys.prefix, name)))} {PLACE}/.venv/{name}" for name in ("bin", "lib")),
    ]
    machine = RealMachine("\n".join(lines))
    tried = machine.run("runuser -u nobody -- .venv/bin/python -c 1")
    if tried.returncode != 0:
        machine.close()
        raise Unsuitable(f"other users cannot run the Python of this environment: {tried.stderr.strip()}")
    return machine


def minimal_debian(folder: Path) -> RealMachine:
    """Return a fresh Debian of the same release as this one, with nothing but a clone of the project in `PLACE`.

    Raises
    ------
    Unsuitable
    """
    _check_rights()
    if shutil.which("debootstrap") is None:
        raise Unsuitable("debootstrap is missing")
    release = re.search(r"^VERSION_CODENAME=(\w+)", Path("/etc/os-release").read_text(), re.M)
    if release is None:
        raise Unsuitable("this system does not say which release it is")
    root = folder / "root"
    include = "--include=ca-certificates,sudo"
    made = subprocess.run(
        ["debootstrap", "--variant=minbase", include, release[1], str(root), MIRROR],
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    if made.returncode != 0:
        raise Unsuitable(f"debootstrap failed: {made.stdout[-500:]}")
    subprocess.run(["git", "clone", "-q", str(PROJECT), f"{root}{PLACE}"], check=True, timeout=LIMIT)
    # What the administrator of a machine behind a proxy sets up: certificates, and pip's settings.
    shutil.copytree("/usr/local/share/ca-certificates", root / "usr/local/share/ca-certificates", dirs_exist_ok=True)
    for name in ("etc/resolv.conf", "etc/hosts", "etc/pip.conf"):
        if Path("/", name).exists():
            shutil.copy(Path("/", name), root / name)
    quoted = shlex.quote(str(root))
    setup = (
        f"mount --make-rprivate /\nmount --bind {quoted} {quoted}\nmount -t proc proc {quoted}/proc\n"
        f"mount --bind /dev {quoted}/dev\nmount -t tmpfs tmpfs {quoted}/run\nchroot {quoted} update-ca-certificates >&2"
    )
    return RealMachine(setup, root)
