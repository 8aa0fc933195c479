"""The logger's window: shows what the logic says, and hands it the user's answers.

Tk is called on the main thread only: the logic's states are fetched from its queue by a timer.
"""

from __future__ import annotations

import json
import logging
import queue
import sys
import time
import tkinter
from datetime import datetime, timezone
from pathlib import Path
from tkinter import ttk
from types import TracebackType

from Logger.debuglog import DebugLog
from Logger.logic import Closed, Ended, Failed, Logic, Question, Running, State, Working
from Logger.logwindow import LogWindow
from Logger.look import HEIGHT, WIDTH, Look, centre
from Logger.pages import MARGIN, ClosePage, EndedPage, FailedPage, Page, QuestionPage, RunningPage, WorkingPage

POLL = 50
"""Milliseconds between two looks into the queue."""
LOGOFF_SECONDS = 4.0
"""How long a logoff is held up for the end of the session; Windows loses patience after five."""
EXIT_OK, EXIT_FAILURE = 0, 1

_LOG = logging.getLogger(__name__)


class Window:
    """The main window.

    Parameters
    ----------
    root
        Tk's main window, empty.
    logic
        What the logger does.
    log
        The debug log.
    support
        Address for the debug log as long as the facility's configuration has not named another.
    report
        File to write the place of every button into whenever a page is shown, for those who work the window by program;
        none if not given.
    """

    def __init__(
        self, root: tkinter.Tk, logic: Logic, log: DebugLog, support: str = "", report: Path | None = None
    ) -> None:
        self._root = root
        self._logic = logic
        self._log = log
        self._support = support
        self._report = report
        self._state: State = Working("", 0, 1)
        self._close_asked = False
        self._leaving = False
        self._log_window: LogWindow | None = None
        root.title("Session logger")
        self._look = Look(root)
        self._body = ttk.Frame(root, padding=self._look.px(MARGIN))
        self._body.pack(fill="both", expand=True)
        foot = ttk.Frame(self._body)
        foot.pack(side="bottom", fill="x", pady=(self._look.px(12), 0))
        self._note = ttk.Label(foot, style="Small.TLabel")
        self._note.pack(side="left")
        ttk.Button(foot, text="Show debug log", underline=11, style="Small.TButton", command=self.show_log).pack(
            side="right"
        )
        self._page: Page = WorkingPage(self._body, self._look)
        self._page.pack(fill="both", expand=True)
        centre(root, self._look.px(WIDTH), self._look.px(HEIGHT))
        root.protocol("WM_DELETE_WINDOW", self.close)
        if sys.platform == "win32":
            root.protocol("WM_SAVE_YOURSELF", self.system_ends)
        root.bind_class("TButton", "<Return>", lambda event: event.widget.invoke())
        root.bind("<Alt-KeyPress>", self._key)
        root.report_callback_exception = self._fault  # type: ignore[method-assign]  # the way tkinter offers

    def run(self) -> int:
        """Start a session and stay until the window is closed; return the exit code."""
        self._logic.begin()
        self._poll()
        self._root.mainloop()
        return EXIT_FAILURE if isinstance(self._state, Failed) else EXIT_OK

    # -- what the logic says -------------------------------------------------------------------------------------------

    def show(self, state: State) -> None:
        """Show a state."""
        self._state = state
        look, body = self._look, self._body
        if isinstance(state, Working):
            page = self._page if isinstance(self._page, WorkingPage) else self._turn(WorkingPage(body, look))
            page.show(state, self._close_asked)
        elif isinstance(state, Running):
            self._turn(RunningPage(body, look, state, state.session, self._end))
        elif isinstance(state, Question):
            self._turn(QuestionPage(body, look, state, self._go_on, self._start_anew))
        elif isinstance(state, Failed):
            if state.session is not None:
                self._turn(RunningPage(body, look, state, state.session, self._end))
            else:
                self._turn(FailedPage(body, look, state, self._begin, self.close))
        elif isinstance(state, Ended):
            self._turn(EndedPage(body, look, state, _now(), self._quit))
        else:
            self._quit()
            return
        ...
