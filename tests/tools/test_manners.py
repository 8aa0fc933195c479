"""What all tools keep to: help, exit codes, pipes, terminals, and no traceback whatever happens."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.config.store import Edit
from NexusCore.storage import Database
from tests.mariadb import MariaDB
from tests.tools.conftest import configure, log, report
from tests.tools.programs import (
    LIMIT,
    PROGRAMS,
    PROJECT,
    Done,
    Terminal,
    bash,
    command,
    on_terminal,
    run,
    run_command,
)

TOOLS = ("ConfigTool", "ConfigUI", "Doctor", "SessionTool", "TailLog", "TailStatus")
READS = (("ConfigTool", "list"), ("TailLog",), ("TailStatus",), ("SessionTool", "list"))


@pytest.fixture
def filled(embedded: Database) -> Database:
    """Lend a database in which every tool finds a lot."""
    configure(embedded, *(Edit(f"Many.p{number:04}", value="x" * 100) for number in range(2000)))
    for number in range(3):
        log(embedded, f"line {number}", level=40, ts=1_470_138_136_000_000)
    now = SYSTEM_CLOCK.now()
    report(embedded, (now, "Camera", "state", "a long story of what the camera is doing just now", now - 1))
    return embedded


class TestHelp:
    """--help begins with three examples, and needs neither a database nor its driver."""

    @pytest.mark.parametrize("tool", TOOLS)
    def test_examples_come_first(self, tool: str) -> None:
        """003-28, 003-52: there is help."""
        done = run(tool, "--help", NEXUSCORE_DATABASE="nonsense")
        assert (done.code, done.err) == (0, "")
        assert done.lines[0] == "Examples:"
        assert [line.split()[0] for line in done.lines[1:4]] == [tool] * 3
        assert max(map(len, done.lines)) <= 100

    @pytest.mark.parametrize("tool", TOOLS)
    def test_nothing_heavy_is_imported_for_it(self, tool: str) -> None:
        script = f"import sys; from Tools.{tool} import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
        loaded = run_command([sys.executable, "-c", script]).err.split()
        assert not {"NexusCore.storage", "mysql.connector", "sqlite3", "rich", "argcomplete", "msgspec"} & set(loaded)

    @pytest.mark.parametrize("words", [("set",), ("rollback",), ("history",)])
    def test_every_command_has_its_own(self, words: tuple[str, ...]) -> None:
        done = run("ConfigTool", *words, "--help")
        assert (done.code, done.out.startswith(f"usage: ConfigTool {words[0]} ")) == (0, True)


class TestUsage:
    """A mistake on the command line is told in one sentence, with what was probably meant; exit code 2."""

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (("TailLog", "--lgger", "x"), "Unknown option '--lgger'. Did you mean '--logger'?"),
            (("TailLog", "-p", "warnin"), "Did you mean 'warning'?"),
            (("TailLog", "-n", "-5"), "a number cannot be negative: use 5."),
            (("TailLog", "-f", "-r"), "not allowed with"),
            (("TailStatus", "--jsn"), "Did you mean '--json'?"),
            (("ConfigTool",), "COMMAND is missing."),
            (("ConfigTool", "list", "--jsn"), "Did you mean '--json'?"),
            (("ConfigTool", "set", "a.b"), "VALUE is missing."),
            (("ConfigTool", "set", "a.b", "-foo"), "Use -- before values that start with '-': -- -foo"),
            (("ConfigTool", "set", "a.b", "--jsn"), "VALUE is missing. Did you mean '--json'?"),
            (("ConfigTool", "A.q=1", "--if-revision", "x"), "ConfigTool: Argument --if-revision: 'x' is not a whole"),
            (("ConfigTool", "list", "--root"), "This command has no option '--root'."),
            (("ConfigTool", "history", "A", "-n", "9" * 5000), " is too large; the largest is 999,999,999"),
            (("TailLog", "-n", "99999999999999999999"), "99999999999999999999 is too large"),
            (("ConfigTool", "get", "a", "b"), "Unexpected argument 'b'."),
            (("SessionTool", "strat"), "Did you mean 'start'?"),
            (("SessionTool", "list", "--state", "BULT"), "Did you mean 'BUILT'?"),
            (("ConfigTool", "remove", ""), "PATH is empty."),
            (("ConfigTool", "remove", "--dry-run", ""), "PATH is empty."),
            (("ConfigTool", "rollback", "1", " "), "PATH is empty."),
            (("ConfigTool", "deserialize", "", "-"), "FOLDER is empty."),
            (("ConfigTool", "A.q=1", "--version", ""), "--version is empty."),
            (("ConfigTool", ""), "WORD is empty."),
            (("ConfigTool", "S.n=1", "T.n=1", "S.n=2"), "'S.n' is given twice."),
            (("ConfigTool", "S.x=\udcff"), "PATH=VALUE is not valid UTF-8: 'S.x=\\xff'."),
            (("TailLog", "\udcff\udcfe"), "WORD is not valid UTF-8: '\\xff\\xfe'."),
            (("TailLog", "--json", "-o", "verbose"), "not allowed with argument"),
            (("TailLog", "--fields", "time", "-o", "verbose"), "--fields cannot be combined with -o verbose."),
            (("TailLog", "--values", "host", "-o", "cat"), "--values cannot be combined with -o cat."),
            (("TailLog", "--after-cursor", "abc"), "'abc' is not a valid cursor"),
            (("ConfigTool", "tree", "--json", "--depth", "1"), "--json cannot be combined with --depth."),
            (("ConfigTool", "serialize", "--json"), "Leave out --json: it writes JSON anyway."),
            (("Doctor", "--bundle", "--json"), "--bundle cannot be combined with --json."),
            (("Doctor", "-n", "5"), "--lines needs --show."),
            (("SessionTool", "start", "X", "--user", ""), "--user is empty."),
            (("SessionTool", "note", "X", ""), "TEXT is empty."),
            (("TailStatus", ""), "CHANNEL:NAME is empty."),
            (("TailLog", "--logger", "", "--vacuum-time", "1d"), "--logger is empty."),
            (("Doctor", "--bundle", ""), "--bundle is empty."),
        ],
    )
    def test_a_mistake_gets_one_sentence(self, words: tuple[str, ...], sentence: str) -> None:
        done = run(*words)
        assert (done.code, done.out) == (2, "")
        assert sentence in done.err
        assert re.fullmatch(rf"{words[0]}( \w+)?: .* See {words[0]}( \w+)? --help\.\n", done.err), done.err


class TestExitCodes:
    """3: the database does not answer; 4: something is refused; each with its sentence."""

    def test_a_database_that_does_not_answer(self) -> None:
        for words in READS:
            done = run(*words, NEXUSCORE_DATABASE="mysql://nobody:secret@127.0.0.1:1/nexus")
            assert (done.code, done.out) == (3, ""), done
            assert done.err.startswith(f"{words[0]}: The database at mysql://nobody@127.0.0.1:1/nexus does not answer")
            assert "secret" not in done.err

    def test_a_mistyped_path(self, tmp_path: Path) -> None:
        done = run("ConfigTool", "list", NEXUSCORE_DATABASE=f"sqlite:///{tmp_path}/mistyped.db")
        assert (done.code, done.err.count("\n")) == (3, 1)
        assert f"The database sqlite:///{tmp_path}/mistyped.db does not exist." in done.err
        assert list(tmp_path.glob("*.db")) == []

    def test_a_wrong_password(self, mariadb: MariaDB) -> None:
        done = run("TailLog", NEXUSCORE_DATABASE=mariadb.url("template", password="wrong-one"))
        assert done.code == 4
        assert "wrong-one" not in done.err

    def test_settings_that_cannot_be_used(self) -> None:
        assert run("TailLog", NEXUSCORE_DATABASE="postgres://x").code == 2

    def test_ctrl_c_ends_with_130(self, filled: Database) -> None:
        with Terminal(command("TailLog", "-f")) as terminal:
            terminal.until("line 2")
            terminal.type("\x03")
            assert terminal.end() == 130
        assert "Traceback" not in terminal.text
        assert terminal.text.endswith("\n")

    def test_ctrl_c_counts_whatever_a_driver_makes_of_it(self) -> None:
        """Interrupted between a question and its answer, a driver raises an error of its own."""
        script = (
            "import os, signal, sys; from Tools import TailLog; from Tools.common import terminal\n"
            "def run(*_):\n"
            "    try:\n"
            "        os.kill(os.getpid(), signal.SIGINT)\n"
            "    except KeyboardInterrupt:\n"
            "        raise RuntimeError('Unread result found') from None\n"
            "sys.exit(terminal.run_tool('TailLog', TailLog.parser, run, []))"
        )
        assert run_command([sys.executable, "-c", script]) == Done(130, "", "")


class TestPipes:
    """A reader that has seen enough is no error; output that cannot be written is one."""

    @pytest.mark.parametrize("words", READS[:2])
    def test_a_closed_pipe_is_silent(self, filled: Database, words: tuple[str, ...]) -> None:
        done = bash(f"{' '.join(words)} | head -1; echo ${{PIPESTATUS[0]}}")
        assert (done.lines[1], done.err) == ("0", "")
        done = bash(f"{' '.join(words)} | true; echo ${{PIPESTATUS[0]}}; {words[0]} --nonsense 2>&1 >/dev/full | true")
        assert (done.out, done.err) == ("0\n", "")

    def test_a_follower_ends_with_its_reader(self, filled: Database) -> None:
        """Nothing is logged any more, so it cannot learn of that by writing."""
        done = bash("TailLog -f -n 1 | head -1; echo ${PIPESTATUS[0]}")
        assert (done.lines[1], done.err) == ("0", "")

    @pytest.mark.parametrize("words", ["list", "--help"])
    def test_a_full_disk_is_reported(self, filled: Database, words: str) -> None:
        done = bash(f"ConfigTool {words} >/dev/full")
        assert (done.code, done.err) == (
            1,
            "ConfigTool: The disk is full: it has no room left. Make room there, and try again.\n",
        )

    def test_closed_streams_do_no_harm(self, filled: Database) -> None:
        assert bash("ConfigTool get Many.p0001 >&-").code == 0
        assert bash("ConfigTool get nothing 2>&-").code == 1

    def test_a_terminal_without_every_letter_shows_the_rest(self, filled: Database) -> None:
        log(filled, "Größe")
        done = run("TailLog", "-n", "1", PYTHONIOENCODING="ascii")
        assert done.out.endswith("]Gr\\xf6\\xdfe\n")


class TestTerminal:
    """Colour and drawn tables are for terminals; NO_COLOR is respected."""

    def test_colour_is_for_terminals_that_want_it(self, filled: Database) -> None:
        for words in (("ConfigTool", "list", "default_version"), ("TailLog",), ("TailStatus", "--all")):
            assert "\x1b[" in on_terminal(*words).out
            for elsewhere in (
                on_terminal(*words, NO_COLOR="1"),
                on_terminal(*words, TERM="dumb"),
                run(*words),
                run(*words, FORCE_COLOR="1"),
            ):
                assert (elsewhere.code, "\x1b[" in elsewhere.out) == (0, False), elsewhere

    def test_an_error_is_red(self, filled: Database) -> None:
        assert "\x1b[31mTue" in on_terminal("TailLog", "line", "0").out

    def test_a_table_fits_the_terminal(self, filled: Database) -> None:
        shown = on_terminal("TailStatus", "--all", width=50, NO_COLOR="1")
        assert max(map(len, shown.lines)) <= 50
        assert "…" not in shown.out

    def test_a_pipe_gets_each_row_on_one_line(self, filled: Database) -> None:
        assert [line.split()[:2] for line in run("TailStatus", "--all").lines] == [
            ["channel", "name"],
            ["Camera", "state"],
        ]

    def test_what_draws_tables_is_imported_for_terminals_only(self, filled: Database) -> None:
        script = "import sys; from Tools.TailStatus import main; main([]); print(*sys.modules, file=sys.stderr)"
        assert "rich" not in run_command([sys.executable, "-c", script]).err.split()


class TestFaults:
    """A fault of the program is told in a sentence, and its traceback is in the log."""

    def test_it_is_logged(self, embedded: Database) -> None:
        script = (
            "import sys; from Tools import TailLog; from Tools.common import terminal\n"
            "def run(*_): raise RuntimeError('a fault')\n"
            "sys.exit(terminal.run_tool('TailLog', TailLog.parser, run, []))"
        )
        done = run_command([sys.executable, "-c", script])
        assert (done.code, done.out, done.err.count("\n")) == (1, "", 1)
        assert "RuntimeError: a fault" in done.err
        assert "TailLog --logger TailLog" in done.err
        assert "RuntimeError: a fault" in run("TailLog", "--logger", "TailLog").out


class TestWaysToStart:
    """A tool runs by its name, as a module, and straight from a checkout."""

    @pytest.mark.parametrize("tool", TOOLS)
    def test_each_way_starts_the_tool(self, tool: str, tmp_path: Path) -> None:
        script = PROJECT / "Tools" / f"{tool}.py"
        assert os.access(script, os.X_OK)
        for words in ([str(PROGRAMS / tool)], [sys.executable, "-m", f"Tools.{tool}"], [str(script)]):
            done = subprocess.run(
                [*words, "--help"], cwd=tmp_path if "-m" not in words else PROJECT, capture_output=True, text=True,
                timeout=LIMIT, check=False,
            )  # fmt: skip
            assert (done.returncode, done.stdout.startswith("Examples:"), done.stderr) == (0, True, ""), words

    def test_a_checkout_brings_its_own_python(self, embedded: Database, tmp_path: Path) -> None:
        """Under a Python without the packages it goes on under the one that install.sh made."""
        checkout = self._checkout(tmp_path)
        (checkout / ".venv/bin").mkdir(parents=True)
        (checkout / ".venv/bin/python").symlink_to(PROGRAMS / "python")
        (checkout / ".venv/lib").symlink_to(PROGRAMS.parent / "lib")
        shutil.copy(PROGRAMS.parent / "pyvenv.cfg", checkout / ".venv")
        done = run_command([*self.BARE_PYTHON, str(checkout / "Tools/ConfigTool.py"), "get", "default_version"])
        assert done == Done(0, "default\n", "")

    def test_missing_packages_are_reported(self, tmp_path: Path) -> None:
        done = run_command([*self.BARE_PYTHON, str(self._checkout(tmp_path) / "Tools/ConfigTool.py"), "list"])
        assert (done.code, done.out) == (1, "")
        assert re.search(r"The Python package '\w+' is missing in .*\./install\.sh", done.err), done.err

    BARE_PYTHON = (str(Path(sys.base_prefix) / "bin/python3"), "-S")
    """A Python that finds no packages but its own."""

    @staticmethod
    def _checkout(folder: Path) -> Path:
        for name in ("NexusCore", "Tools"):
            shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        return folder
