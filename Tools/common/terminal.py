"""The frame of every tool: what is written where, and how the program ends.

Promises
--------
* Data go to the standard output, messages to the standard error.
* Colour is for terminals only; NO_COLOR is respected.
* Data cannot control the terminal: only text and the tools' own colours are written (`NexusCore.text`).
* Every error is a sentence for the user and an exit code of `NexusCore.errors` for the shell; a reader that stops
  reading (``| head -1``) is not an error, and hides none.
"""

from __future__ import annotations

import os
import re
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TextIO

from NexusCore.completion import offer
from NexusCore.errors import EXIT_FAILURE, EXIT_INTERRUPTED, EXIT_OK, NexusError
from NexusCore.resources import explained, sentence_of
from NexusCore.sizes import size
from NexusCore.text import escape, json_text, one_line
from Tools.common import interruption

LONGEST_LINE_PART = 1000
"""Most characters of a value, note or sentence on a line."""
SHORTENED_VALUE = 60
"""Characters shown of a longer value."""
ANSI_STYLES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_CODE = "|".join(["0", *ANSI_STYLES.values()])
_OWN_SEQUENCES = re.compile(f"(\033\\[(?:{_CODE})(?:;(?:{_CODE}))*m)")
"""The escape sequences of `Screen.paint`."""


class Screen:
    """The output of a tool.

    Parameters
    ----------
    name
        Name of the tool, for its messages.
    out, err
        Streams for data and for messages; None where the shell closed them.
    environment
        Variables that enable or disable colour.
    """

    def __init__(
        self, name: str, out: TextIO | None, err: TextIO | None, environment: Mapping[str, str] = os.environ
    ) -> None:
        self.name = name
        self.out = out
        self.err = err
        for stream in (out, err):
            if isinstance(stream, TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # the encoding of the terminal may lack characters
        self.terminal = out is not None and out.isatty()
        self.colour = self.terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"

    @property
    def columns(self) -> int | None:
        """Width of the terminal; None without a terminal, where lines are not cut."""
        if not self.terminal or self.out is None:
            return None
        try:
            return os.get_terminal_size(self.out.fileno()).columns or None
        except OSError:
            return None

    def show(self, text: str = "") -> None:
        """Write a line of data, or several."""
        if self.out is not None:
            self.out.write(self._shown(text) + "\n")

    def show_escaped(self, text: str) -> None:
        """Write data that has been escaped already."""
        if self.out is not None:
            self.out.write(text + "\n")

    def show_json(self, **fields: object) -> None:
        """Write an object as one line of JSON."""
        self.show_escaped(json_text(fields))

    def say(self, text: str) -> None:
        """Write a message."""
        if self.err is not None:
            if self.out is not None:
                self.out.flush()  # so that both appear in the right order on a terminal
            self.err.write(self._shown(text) + "\n")
            self.err.flush()

    def confirm(self, question: str) -> bool:
        """Ask whether to go on; without a terminal nobody can be asked, so the answer is no."""
        if self.err is None or sys.stdin is None or not sys.stdin.isatty():
            return False
        self.err.write(self._shown(f"{question} Go on? [y/N] "))
        self.err.flush()
        return sys.stdin.readline().strip().lower() in ("y", "yes")

    def _shown(self, text: str) -> str:
        """Return escaped text. Callers escape data themselves; this catches what they missed."""
        if not self.colour:
            return escape(text)
        return "".join(part if place % 2 else escape(part) for place, part in enumerate(_OWN_SEQUENCES.split(text)))

    def note(self, text: str) -> str:
        """Return a remark for the end of a data line; empty except on a terminal, so that programs get only data."""
        return self.paint(text, "dim") if self.terminal else ""

    def fail(self, error: object) -> None:
        """Write an error on one line."""
        self.say(f"{self.name}: {one_line(str(error))}")

    def paint(self, text: str, *styles: str) -> str:
        """Return `text` in colour, if colour is enabled."""
        if not self.colour or not styles or not text:
            return text
        return f"\033[{';'.join(ANSI_STYLES[style] for style in styles)}m{text}\033[0m"

    def table(self, headers: Sequence[str], rows: Iterable[Sequence[str]], marks: Mapping[str, str] = {}) -> None:
        """Write a table.

        Parameters
        ----------
        headers, rows
            Names of the columns, and the cells.
        marks
            Cells to highlight, each with its style.
        """
        cells = [[one_line(cell) for cell in row] for row in rows]
        if self.terminal:
            self._drawn(headers, cells, marks)
            return
        widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
        for row in [list(headers), *cells]:
            self.show("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def _drawn(self, headers: Sequence[str], rows: Sequence[Sequence[str]], marks: Mapping[str, str]) -> None:
        from rich.console import Console
        from rich.table import Column, Table
        from rich.text import Text

        # The first column names the row and is copied by users, so it is never folded. The others may be.
        names = Column(headers[0], no_wrap=True, min_width=max(len(row[0]) for row in rows) if rows else None)
        others = (Column(header, overflow="fold") for header in headers[1:])
        table = Table(names, *others, box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
        for row in rows:
            table.add_row(*(Text(cell, style=marks.get(cell, "")) for cell in row))
        Console(file=self.out, color_system="auto" if self.colour else None, highlight=False).print(table)

    def flush(self) -> None:
        """Flush the streams."""
        for stream in (self.out, self.err):
            if stream is not None:
                stream.flush()

    @property
    def places(self) -> list[Path]:
        """Target of the output, if the system knows it: the place to name when writing fails."""
        with suppress(OSError, ValueError, AttributeError):
            return [Path(f"/proc/self/fd/{self.out.fileno()}").readlink()]  # type: ignore[union-attr]  # or no stream at all
        return []

    def live(self) -> None:
        """Write each line at once from now on."""
        if isinstance(self.out, TextIOWrapper):
            self.out.reconfigure(line_buffering=True)

    def silence(self) -> None:
        """Discard all further output, including what is still buffered."""
        if self.out is not None:
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.out.fileno())
                os.close(nowhere)


def brief(text: str, most: int = LONGEST_LINE_PART, shown: int | None = None) -> str:
    """Return `text` on one line; of a long text only its beginning, with its size.

    Parameters
    ----------
    text
        The text.
    most
        Most characters that are shown in full.
    shown
        Characters shown of a longer text; `most` by default.
    """
    if len(text) <= most:
        return one_line(text)
    return f"{one_line(text[: most if shown is None else shown])}… ({size(text):,} bytes)"


def brief_value(text: str) -> str:
    """Return a value of the configuration in brief; ``ConfigTool get`` shows all of it."""
    return brief(text, LONGEST_LINE_PART, SHORTENED_VALUE)


def run_tool(
    name: str,
    parser: Callable[[], ArgumentParser],
    run: Callable[[Namespace, Screen], int],
    argv: Sequence[str] | None,
) -> int:
    """Run a tool and return its exit code.

    Parameters
    ----------
    name
        Name of the tool.
    parser
        Returns the parser of its arguments; imports nothing heavy.
    run
        Does the work; may raise any `NexusError`.
    argv
        The arguments; those of this process if None.
    """
    screen = Screen(name, sys.stdout, sys.stderr)
    code = EXIT_OK
    try:
        code = _run(parser, run, argv, screen)
        screen.flush()
    except KeyboardInterrupt as end:
        code = end.exit_code if isinstance(end, interruption.Interrupted) else EXIT_INTERRUPTED
        screen.silence()
        if screen.terminal:
            with suppress(OSError):  # the terminal may have been closed
                screen.say("")  # so that the shell prompt starts on a new line after ^C
    except BrokenPipeError:  # what was refused or failed before stays so
        screen.silence()
    except (OSError, MemoryError) as error:
        code, shortage = EXIT_FAILURE, explained(error, screen.places)
        screen.silence()
        with suppress(OSError):
            screen.fail(shortage or getattr(error, "strerror", None) or error)
    return code


def _run(
    parser: Callable[[], ArgumentParser],
    run: Callable[[Namespace, Screen], int],
    argv: Sequence[str] | None,
    screen: Screen,
) -> int:
    try:
        arguments_parser = parser()
        offer(arguments_parser)
        arguments = arguments_parser.parse_args(argv)
        with interruption.at_once():
            return run(arguments, screen)
    except SystemExit as end:  # argparse's way to end after --help and after a mistake
        return end.code if isinstance(end.code, int) else EXIT_OK
    except NexusError as error:
        with suppress(BrokenPipeError):  # the code tells the rest of it
            screen.fail(sentence_of(error))
        return error.exit_code
    except ModuleNotFoundError as error:
        screen.fail(
            f"The Python package '{error.name}' is missing in {sys.executable}. Install NexusCore with "
            "./install.sh, or run the tool with the Python that NexusCore was installed with."
        )
        return EXIT_FAILURE
    except (OSError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  the edge of the process: recorded in the log
        if (shortage := explained(error)) is not None:
            screen.fail(shortage)
            return shortage.exit_code
        screen.fail(
            f"A fault of the program has stopped it ({type(error).__name__}: {error}). {_recorded(screen.name)}"
        )
        return EXIT_FAILURE


def _recorded(name: str) -> str:
    """Log the current exception; return a sentence that says where it is."""
    try:
        from NexusCore.API import App

        app = App(tool=name)
        app.get_log(name).exception("A fault has stopped %s", name)
        app.shutdown(1.0)
    except (NexusError, ImportError, OSError) as error:
        return f"It could not be logged either: {error}"
    return f"For details: TailLog --logger {name} -n 1"
