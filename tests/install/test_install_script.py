"""``./install.sh`` does what is missing, once, and says in plain words what it cannot do."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]
LIMIT = 60.0
"""Seconds that one run may take."""
NOBODY = 65534
"""Number of the user who owns nothing, on every Linux."""

# A Python that takes a moment where the real one takes minutes: it makes an environment whose Python is itself, and
# writes down how it was called.
STAND_IN = """#!/bin/sh
echo "python $*" >>"{seen}"
case "$*" in
    *version_info*) exit {too_old} ;;
    *"import venv"*) exit {no_venv} ;;
    *main.kind*) exit 1 ;;
    *_base_executable*) echo "$0" ;;
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && cp "$0" .venv/bin/register-python-argcomplete ;;
esac
"""


@dataclass(frozen=True)
class Machine:
    """A copy of the project, and a folder of programs that comes first on the path."""

    project: Path
    programs: Path
    home: Path
    seen: Path

    def program(self, name: str, text: str) -> Path:
        path = self.programs / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def python(self, name: str = "python3", *, too_old: bool = False, no_venv: bool = False) -> Path:
        return self.program(name, STAND_IN.format(seen=self.seen, too_old=int(too_old), no_venv=int(no_venv)))

    def run(self, *arguments: str, as_nobody: bool = False, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.project / "install.sh", *arguments],
            env={"PATH": f"{self.programs}:/usr/bin:/bin", "HOME": str(self.home), **environment},
            user=NOBODY if as_nobody and os.geteuid() == 0 else None,
            group=NOBODY if as_nobody and os.geteuid() == 0 else None,
            extra_groups=[] if as_nobody and os.geteuid() == 0 else None,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )

    def installed(self) -> list[str]:
        """Return what pip was asked to install."""
        lines = self.seen.read_text().splitlines() if self.seen.exists() else []
        return [line.rpartition(" ")[2] for line in lines if line.startswith("python -m pip install")]


@pytest.fixture
def machine() -> Iterator[Machine]:
    """Lend a machine in a folder that every user may enter, as pytest's own is not."""
    root = Path(tempfile.mkdtemp(prefix="nx", dir="/tmp"))
    machine = Machine(root / "project", root / "programs", root / "home", root / "seen")
    for folder in (machine.project, machine.programs, machine.home):
        folder.mkdir()
    machine.seen.touch()
    for name in ("install.sh", "setup.py", "pyproject.toml"):
        shutil.copy(PROJECT / name, machine.project)
    shutil.copytree(PROJECT / "Install", machine.project / "Install", ignore=shutil.ignore_patterns("__pycache__"))
    for path in (root, *root.rglob("*")):
        path.chmod(path.stat().st_mode | stat.S_IROTH | stat.S_IWOTH | (path.is_dir() and stat.S_IXOTH))
    yield machine
    shutil.rmtree(root)


class TestUsage:
    """003-14: help is at hand, and a wrong word gets the usage, not half a set-up."""

    @pytest.mark.parametrize("argument", ["--help", "-h"])
    def test_help_names_every_command(self, machine: Machine, argument: str) -> None:
        done = machine.run(argument)
        assert done.returncode == 0
        for word in ("mysql", "service", "demo", "test", "bench", "constraints", "requirements"):
            assert f"./install.sh {word}" in done.stdout

    def test_help_of_service_is_for_everyone(self, machine: Machine) -> None:
        machine.python()
        done = machine.run("service", "--help", as_nobody=True)
        assert done.returncode == 0
        for word in ("--take-over=FILE", "usermod -aG nexuscore", "secrets too", *("builder", "gateway", "intake")):
            assert word in done.stdout

    @pytest.mark.parametrize(
        "arguments",
        [
            ["sql"],
            ["--mysql"],
            ["mysql", "now"],
            ["service"],
            ["service", "--start"],
            ["demo", "x"],
            ["constraints", "x"],
            ["requirements", "x"],
        ],
    )
    def test_a_wrong_argument(self, machine: Machine, arguments: list[str]) -> None:
        machine.python()
        done = machine.run(*arguments)
        assert done.returncode == 2
        assert done.stderr.startswith("install.sh: ")
        assert "./install.sh --help" in done.stderr
        assert not (machine.project / ".venv").exists()


class TestEnvironment:
    """003-14: what is installed already is not installed again, and what changed is."""

    def test_a_fresh_machine(self, machine: Machine) -> None:
        machine.python()
        done = machine.run()
        assert done.returncode == 0, done.stderr
        assert machine.installed() == [".[setup,services,logger]"]
        assert "python -m NexusCore.storage.migrate" in machine.seen.read_text()
        assert ". .venv/bin/activate" in done.stdout

    def test_a_second_run_installs_nothing(self, machine: Machine) -> None:
        machine.python()
        machine.run()
        machine.run()
        assert len(machine.installed()) == 1

    @pytest.mark.parametrize("name", ["setup.py", "pyproject.toml", "Install/constraints.txt"])
    def test_changed_metadata_are_installed(self, machine: Machine, name: str) -> None:
        machine.python()
        machine.run()
        with (machine.project / name).open("a") as file:
            file.write("# changed\n")
        machine.run()
        assert len(machine.installed()) == 2

    def test_an_environment_copied_elsewhere_is_installed_again(self, machine: Machine) -> None:
        machine.python()
        machine.run()
        other = machine.project.rename(machine.project.with_name("elsewhere"))
        Machine(other, machine.programs, machine.home, machine.seen).run()
        assert len(machine.installed()) == 2

    def test_a_failed_installation_is_tried_again(self, machine: Machine) -> None:
        text = machine.python().read_text()
        machine.program("python3", text.replace("esac", '    *"pip install"*) exit 1 ;;\nesac'))
        failed = machine.run()
        assert failed.returncode == 1
        assert "The libraries could not be installed" in failed.stderr
        shutil.copy(machine.python(), machine.project / ".venv/bin/python")
        assert machine.run().returncode == 0
        assert len(machine.installed()) == 2


class TestTestedSet:
    """003-14: what is installed is the set of versions that was tested, until somebody renews it on purpose."""

    def test_pip_is_held_to_it(self, machine: Machine) -> None:
        """Also where it builds the project itself, which takes setuptools."""
        text = machine.python().read_text()
        machine.program("python3", text.replace('"python $*"', '"$PIP_CONSTRAINT $PIP_BUILD_CONSTRAINT python $*"'))
        machine.run()
        (line,) = (line for line in machine.seen.read_text().splitlines() if "pip install" in line)
        assert line.split()[:2] == ["Install/constraints.txt"] * 2

    def test_renewal_freezes_a_fresh_environment(self, machine: Machine) -> None:
        """It is what a fresh environment with all extras gets while nothing holds it back."""
        text = machine.python().read_text()
        text = text.replace("esac", '    *"pip freeze"*) printf "zict==3\\nAlembic==1\\nattrs==2\\n" ;;\nesac')
        text = text.replace("mkdir -p .venv/bin", 'for p in "$@"; do :; done; mkdir -p "$p/bin"').replace(
            ".venv/bin/", "$p/bin/"
        )
        machine.program("python3", text)
        done = machine.run("constraints", PIP_CONSTRAINT="mine.txt")
        assert done.returncode == 0, done.stderr
        lines = (machine.project / "Install/constraints.txt").read_text().splitlines()
        assert [line for line in lines if not line.startswith("#")] == ["Alembic==1", "attrs==2", "zict==3"]
        assert machine.installed() == [".[all]"]
        assert not (machine.project / ".venv").exists()

    @pytest.mark.parametrize("word", ["constraints", "demo"])
    def test_a_python_that_is_none(self, machine: Machine, word: str) -> None:
        """Nothing is installed for the sake of a name that was mistyped."""
        machine.python()
        done = machine.run(word, PYTHON="/nosuch")
        assert (done.returncode, done.stderr) == (
            1, "install.sh: PYTHON is /nosuch, but must be Python 3.11 or newer.\n"
        )  # fmt: skip
        assert machine.installed() == []

    def test_one_that_cannot_be_renewed_stays(self, machine: Machine) -> None:
        before = (machine.project / "Install/constraints.txt").read_text()
        text = machine.python().read_text()
        machine.program("python3", text.replace("esac", '    *"pip install"*) exit 1 ;;\nesac'))
        done = machine.run("constraints")
        assert done.returncode == 1
        assert (machine.project / "Install/constraints.txt").read_text() == before


class TestRequirements:
    """The page of requirements is written by any Python that is new enough; nothing is installed for it."""

    def test_they_are_written(self, machine: Machine) -> None:
        machine.python()
        done = machine.run("requirements")
        assert done.returncode == 0, done.stderr
        assert "python tests/requirements.py" in machine.seen.read_text().splitlines()
        assert machine.installed() == []
        assert not (machine.project / ".venv").exists()

    def test_a_mistake_in_a_marker(self, machine: Machine) -> None:
        text = machine.python().read_text()
        machine.program("python3", text.replace("esac", "    tests/requirements.py) exit 1 ;;\nesac"))
        done = machine.run("requirements")
        assert done.returncode == 1
        assert "docs/requirements.md was not changed" in done.stderr


class TestPythonIsChosen:
    """003-13: any Python of version 3.11 or newer serves; an older one does not stand in the way."""

    def test_a_newer_one_beside_an_old_one(self, machine: Machine) -> None:
        machine.python("python3", too_old=True)
        newer = machine.python("python3.12")
        assert f"from {newer}" in machine.run().stdout

    def test_the_named_one_comes_first(self, machine: Machine) -> None:
        machine.python()
        mine = machine.python("mine")
        assert f"from {mine}" in machine.run(PYTHON=str(mine)).stdout

    def test_a_named_one_that_is_too_old_is_refused(self, machine: Machine) -> None:
        machine.python()
        machine.run()
        done = machine.run(PYTHON=str(machine.python("mine", too_old=True)))
        assert done.returncode == 1
        assert "but must be Python 3.11 or newer" in done.stderr
        assert (machine.project / ".venv/bin/python").exists()


class TestCompletion:
    """003-29: completion is switched on where bash looks for it, and other files of the shell are written once."""

    def test_one_file_for_each_tool(self, machine: Machine) -> None:
        machine.python()
        machine.run()
        folder = machine.home / ".local/share/bash-completion/completions"
        tools = {"ConfigTool", "ConfigUI", "Doctor", "SessionTool", "TailLog", "TailStatus"}
        services = {"Builder", "Gateway", "Harvester", "Intake", "Uploader"}
        assert {path.name for path in folder.iterdir()} == tools | services

    def test_a_shell_that_loads_completions_keeps_its_files(self, machine: Machine) -> None:
        machine.python()
        text = "_comp_load() { :; }\n"
        (machine.home / ".bashrc").write_text(text)
        machine.run()
        assert (machine.home / ".bashrc").read_text() == text

    def test_another_gets_one_line_once(self, machine: Machine) -> None:
        machine.python()
        (machine.home / ".bashrc").write_text("unset -f _comp_load _completion_loader\n")
        machine.run()
        machine.run()
        text = (machine.home / ".bashrc").read_text()
        assert text.startswith("unset -f")
        assert text.count("# NexusCore") == 1


class TestWithoutRights:
    """003-14: where this user may not install a package, it says what to ask the administrator for."""

    def test_the_administrators_command_is_named(self, machine: Machine) -> None:
        machine.python(no_venv=True)
        machine.python("python3.12", no_venv=True)
        machine.program("apt-get", "#!/bin/sh\nexit 1\n")
        machine.program("sudo", "#!/bin/sh\nexit 1\n")
        done = machine.run(as_nobody=True, PYTHON=str(machine.programs / "python3"))
        assert done.returncode == 1
        assert "Ask the administrator of this machine to run:" in done.stderr
        assert "apt-get install" in done.stderr
        assert "-venv" in done.stderr

    def test_all_that_is_missing_is_named_at_once(self, machine: Machine) -> None:
        machine.program("apt-get", "#!/bin/sh\nexit 1\n")
        machine.program("apt-cache", "#!/bin/sh\necho mariadb-server-core - server\n")
        machine.program("sudo", "#!/bin/sh\nexit 1\n")
        for name in ("bash", "dirname", "sort", "tr", "grep", "cut", "mktemp", "env", "tail", "rm"):
            (machine.programs / name).symlink_to(shutil.which(name) or name)
        # A path of its own: the machine that runs the tests has the programs.
        command = ["/bin/bash", "-c", f"sed -i 's|^PATH=.*|PATH={machine.programs}|' Install/packages.sh"]
        subprocess.run(command, cwd=machine.project, check=True, timeout=LIMIT)
        done = machine.run("test", as_nobody=True)
        assert done.returncode == 1
        reported = done.stderr.rpartition("to run: ")[2].split()
        assert set(reported[4:]) == {
            "mariadb-server-core",
            "mariadb-client-core",
            "xvfb",
            "xdotool",
            "shellcheck",
            "faketime",
            "binutils",
        }

    def test_services_are_set_up_by_root(self, machine: Machine) -> None:
        machine.python()
        done = machine.run("service", "builder", as_nobody=True)
        assert done.returncode == 1
        assert "sudo ./install.sh service builder" in done.stderr


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is missing")
class TestShellScripts:
    """The shell scripts are free of what shellcheck knows to go wrong."""

    def test_shellcheck_accepts_the_set_up_scripts(self) -> None:
        files = ["install.sh", ".ci/run", *(str(path) for path in sorted(PROJECT.glob("Install/*.sh")))]
        self.check(["shellcheck", "--external-sources", *files])

    def test_shellcheck_accepts_the_init_script(self, project_copy: Path, tmp_path: Path) -> None:
        subprocess.run(
            [project_copy / "install.sh", "service", "builder"],
            env={**os.environ, "DESTDIR": str(tmp_path)},
            check=True,
            capture_output=True,
            timeout=LIMIT,
        )
        self.check(["shellcheck", str(tmp_path / "etc/init.d/nexuscore-builder")])

    @staticmethod
    def check(command: list[str]) -> None:
        done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, timeout=LIMIT, check=False)
        assert done.returncode == 0, done.stdout
