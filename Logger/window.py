"""The logger's window: shows the states of the controller, and passes the user's commands to it.

Tk is called only on the main thread: a timer reads the states of the controller from its queue.
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
from typing import Callable, Iterator

from Logger.controller import Controller
from Logger.debuglog import DebugLog
from Logger.file_pages import EndedPage, FilesPage
from Logger.logwindow import LogWindow
from Logger.page import PAGE_MARGIN, Command, Page
from Logger.pages import (
    ClosePage,
    FailedPage,
    OvertakenPage,
    QuestionPage,
    RunningPage,
    TextPage,
    UserPage,
    WorkingPage,
)
from Logger.reminder import Reminder
from Logger.states import (
    Closed,
    ControllerState,
    Ended,
    Failed,
    OpenSessionQuestion,
    Overtaken,
    Running,
    UserQuestion,
    Working,
)
from Logger.theme import HEIGHT, WIDTH, Theme, centre

POLL = 50
"""Interval of reading the queue, in milliseconds."""
LOGOFF_SECONDS = 4.0
"""Seconds that a logoff waits for the end of the session; Windows allows five."""
EXIT_OK, EXIT_FAILURE = 0, 1

_LOG = logging.getLogger(__name__)


class MainWindow:
    """The main window.

    Parameters
    ----------
    root
        Tk's main window, empty.
    controller
        The controller.
    log
        The debug log.
    support
        Address for the debug log until the facility's configuration gives another.
    raised
        Returns whether the logger was launched again since it was last asked.
    report
        File for the places of all buttons and for all texts, written with every change, so that programs can operate
        the window; optional.
    """

    def __init__(
        self,
        root: tkinter.Tk,
        controller: Controller,
        log: DebugLog,
        support: str = "",
        raised: Callable[[], bool] = lambda: False,
        report: Path | None = None,
    ) -> None:
        self._root = root
        self._controller = controller
        self._log = log
        self._support = support
        self._raised = raised
        self._report = report
        self._reported = ""
        self._state: ControllerState = Closed()
        self._busy = False
        self._close_asked = False
        self._leaving = False
        self._end_tried = False
        self._reminder = Reminder()
        self._draft = ("", "")
        """A question and its answer that has not been saved yet."""
        self._done = self._hidden = self._asking = False
        self._closes_late: Closed | None = None
        """The end of a countdown that came while the list of files was read."""
        self._log_window: LogWindow | None = None
        root.title("Session logger")
        root.resizable(False, False)
        self._look = Theme(root)
        margin = self._look.px(PAGE_MARGIN)
        self._body = ttk.Frame(root, padding=(margin, margin, margin, margin // 2))
        self._body.pack(fill="both", expand=True)
        self._note = self._footer()
        self._page: Page = WorkingPage(self._body, self._look)
        self._page.pack(fill="both", expand=True)
        centre(root, self._look.px(WIDTH), self._look.px(HEIGHT))
        root.protocol("WM_DELETE_WINDOW", self.close)
        if sys.platform == "win32":
            root.protocol("WM_SAVE_YOURSELF", self.system_ends)  # the user logs off, or the PC shuts down
        root.bind_class("TButton", "<Return>", lambda event: event.widget.event_generate("<<Invoke>>"))
        root.bind("<Alt-KeyPress>", self._key)
        root.report_callback_exception = self._fault

    def run(self) -> int:
        """Start a session and stay until the window is closed; return the exit code."""
        self._send(self._controller.begin)
        self._poll()
        self._root.mainloop()
        return EXIT_FAILURE if isinstance(self._state, Failed) else EXIT_OK

    # -- states of the controller --------------------------------------------------------------------------------------

    def show(self, state: ControllerState) -> None:
        """Show a state."""
        if isinstance(state, Closed):
            self._close_by(state)
            return
        if isinstance(state, Running) and state.by_itself and isinstance(self._state, Failed):
            return  # what failed is to be read first; the next command shows the session again
        self._state = state
        if isinstance(state, Working):
            page = self._page if isinstance(self._page, WorkingPage) else WorkingPage(self._body, self._look)
            page.show(state, self._close_asked)
            self._show_page(page)
            return
        if not (isinstance(state, (Running, Ended)) and state.by_itself):
            self._busy = False
            if isinstance(state, (Running, Ended)):
                self._draft = ("", "")
        if state.station is not None and state.station.support_address:
            self._support = state.station.support_address
        if self._asking and isinstance(state, (Running, Ended)) and self._is_still_asked(state):
            return
        self._asking = False
        self._show_page(self._page_for(state))
        if isinstance(state, Failed):
            self.show_log()
        if self._close_asked:
            self._close_asked = False
            if not (isinstance(state, Failed) and state.session is not None):  # the user must read that first
                self.close()

    def _close_by(self, state: Closed) -> None:
        """Close, but not at the end of a countdown if the next user has begun, or the list of files is being read."""
        if state.by_itself and self._busy:
            return
        if state.by_itself and isinstance(self._page, FilesPage):
            self._closes_late = state
            return
        self._state = state
        self._finish(state)

    def _is_still_asked(self, state: Running | Ended) -> bool:
        """Return whether a page that the user has opened stays, until it is answered."""
        if isinstance(self._page, FilesPage):
            if state.transfer is not None:
                self._page.show(state.transfer)
            return True
        return isinstance(state, Running)

    def _page_for(self, state: UserQuestion | OpenSessionQuestion | Running | Failed | Ended | Overtaken) -> Page:
        """Return the page of a state: the present one, if it can show it, so that a user keeps the place."""
        page = self._page
        if isinstance(page, EndedPage) and isinstance(state, Ended):
            page.show(state, _now())
            return page
        if isinstance(page, RunningPage) and isinstance(state, (Running, Failed)) and state.session is not None:
            page.show(state)
            for button in page.buttons.values():
                button.state(["disabled" if self._busy else "!disabled"])
            return page
        return self._page_of(state)

    def _page_of(self, state: UserQuestion | OpenSessionQuestion | Running | Failed | Ended | Overtaken) -> Page:
        body, look, controller = self._body, self._look, self._controller
        begin = self._command(controller.begin)
        if isinstance(state, UserQuestion):
            return UserPage(body, look, state, lambda name: self._send(lambda: controller.begin_as(name)), self._quit)
        if isinstance(state, OpenSessionQuestion):
            return QuestionPage(
                body, look, state, self._command(controller.go_on),
                lambda ended: self._send(lambda: controller.start_new(ended)),
            )  # fmt: skip
        if isinstance(state, Ended):
            return EndedPage(
                body, look, state, _now(), self._show_files, controller.finish_without, self._hide
            )  # fmt: skip
        if isinstance(state, Overtaken):
            return OvertakenPage(body, look, state, begin, self._hide)
        if state.session is not None:
            return RunningPage(
                body, look, state, self._command(controller.end), self._command(controller.pause),
                self._command(controller.resume), self._write_note, self._write_problem, self._show_files,
            )  # fmt: skip
        return FailedPage(body, look, state, begin, self._command(controller.work_offline), self._copy_log, self._quit)

    def _show_page(self, page: Page) -> None:
        """Replace the page."""
        if page is not self._page:
            self._page.destroy()
            self._page = page
            page.pack(fill="both", expand=True)
            running = isinstance(page, RunningPage)
            self._note.configure(text="You can minimise this window." if running else "")
            if page.first is not None:
                page.first.focus_set()
            elif page.buttons and not running:
                next(iter(page.buttons.values())).focus_set()
            else:
                page.focus_set()  # so that a stray key does not end the session
        self._refresh()
        self._root.update_idletasks()
        if self._root.winfo_reqheight() > self._root.winfo_height() > 1:
            centre(self._root, self._root.winfo_width(), self._root.winfo_reqheight())

    # -- commands of the user ------------------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the window; a running session must be ended or paused first."""
        if self._busy:
            self._close_asked = True
            if isinstance(self._page, WorkingPage) and isinstance(self._state, Working):
                self._page.show(self._state, self._close_asked)
        elif not self._session_open:
            self._quit()
        elif not isinstance(self._page, ClosePage):
            self._root.deiconify()
            self._asking = True
            self._show_page(
                ClosePage(self._body, self._look, self._command(self._controller.end), self._pause, self._back)
            )

    def leave(self) -> None:
        """End the session and close without asking, for the system. May be called by a signal handler."""
        self._leaving = True

    def system_ends(self) -> None:
        """End the session and close within `LOGOFF_SECONDS`, before the system continues."""
        self.leave()
        deadline = time.monotonic() + LOGOFF_SECONDS
        while not self._done and time.monotonic() < deadline:
            self._leave()
            try:
                self.show(self._controller.states.get(timeout=POLL / 1000))
            except queue.Empty:
                continue

    def show_log(self) -> None:
        """Show the debug log."""
        if self._log_window is None or not self._log_window.winfo_exists():
            self._root.update_idletasks()
            self._log_window = LogWindow(self._root, self._look, self._log, self._support)
        self._log_window.lift()

    def _pause(self) -> None:
        self._send(self._controller.leave_paused)

    def _back(self) -> None:
        self._asking = False
        self.show(self._state)

    def _show_files(self) -> None:
        """List the files of the session."""
        state = self._state
        if isinstance(state, (Running, Ended)) and state.transfer is not None:
            self._asking = True
            page = FilesPage(self._body, self._look, state.transfer, self._controller.send_held, self._leave_files)
            self._show_page(page)

    def _leave_files(self) -> None:
        self._asking = False
        self._show_page(WorkingPage(self._body, self._look))  # so that the next one is made anew
        self.show(self._state)

    def _write_note(self) -> None:
        self._write("What should be remembered?", self._controller.note)

    def _write_problem(self) -> None:
        self._write("What is wrong with the instrument?", self._controller.report_problem)

    def _write(self, question: str, save: Callable[[str], None]) -> None:
        def saved(text: str) -> None:
            self._asking = False
            self._draft = (question, text)
            self._send(lambda: save(text))

        self._asking = True
        draft = self._draft[1] if self._draft[0] == question else ""
        self._show_page(TextPage(self._body, self._look, question, saved, self._back, draft))

    def _copy_log(self) -> None:
        self.show_log()
        if self._log_window is not None:
            self._log_window.copy()

    def _command(self, order: Command) -> Command:
        return lambda: self._send(order)

    def _send(self, order: Command) -> None:
        """Pass a command to the controller; buttons are disabled until it answers."""
        self._busy = True
        for button in self._page.buttons.values():
            button.state(["disabled"])
        order()

    def _leave(self) -> None:
        """Do the next step of leaving."""
        if self._busy:
            return
        if self._session_open and not self._end_tried:
            self._end_tried = True
            self._send(self._controller.end)
        else:
            self._quit()

    def _hide(self) -> None:
        """Close the window; what waits is delivered without it."""
        self._finish(Closed(self._controller.waiting))

    def _finish(self, state: Closed) -> None:
        if not state.waiting or self._leaving:
            self._quit()
            return
        _LOG.info("The window closes; the logger stays until everything is delivered.")
        self._state, self._busy, self._hidden = state, False, True
        self._root.withdraw()

    def _come_forward(self) -> None:
        """Do what a second launch wants: show the window, with a new session if it was hidden."""
        was_hidden, self._hidden = self._hidden, False
        self._raise()
        self._closes_late = None
        if was_hidden or (isinstance(self._state, Ended) and not self._busy):
            self._send(self._controller.begin)

    def _raise(self) -> None:
        self._root.deiconify()
        self._root.lift()
        self._root.attributes("-topmost", True)
        self._root.attributes("-topmost", False)

    def _remind(self) -> None:
        """Come forward with a sentence where a user seems to have left."""
        sentence = self._reminder.look(self._state if isinstance(self._state, Running) else None)
        if sentence is None or not isinstance(self._page, RunningPage):
            return
        self._page.remind(sentence)
        if sentence:
            _LOG.info("%s", sentence)
            self._raise()

    def _quit(self) -> None:
        self._done = True
        self._root.withdraw()
        self._root.quit()

    @property
    def _session_open(self) -> bool:
        return isinstance(self._state, (Running, Failed)) and self._state.session is not None

    # -- Tk ------------------------------------------------------------------------------------------------------------

    def _poll(self) -> None:
        try:
            while not self._done:
                self.show(self._controller.states.get_nowait())
        except queue.Empty:
            if self._leaving:
                self._leave()
            elif self._hidden and not self._controller.waiting:
                self._quit()
            if self._raised():
                self._come_forward()
            self._remind()
            self._refresh()
            if self._report is not None:
                self._write_report(self._report)
        finally:
            if not self._done:
                self._root.after(POLL, self._poll)

    def _refresh(self) -> None:
        if isinstance(self._page, (RunningPage, EndedPage)):
            self._page.refresh(_now())
        if isinstance(self._page, EndedPage) and self._closes_late is not None and self._page.is_over(_now()):
            state, self._closes_late = self._closes_late, None
            self._finish(state)
        if self._log_window is not None and self._log_window.winfo_exists():
            self._log_window.refresh()

    def _footer(self) -> ttk.Label:
        foot = ttk.Frame(self._body)
        foot.pack(side="bottom", fill="x", pady=(self._look.px(12), 0))
        note = ttk.Label(foot, style="Small.TLabel")
        note.pack(side="left")
        log = ttk.Button(foot, text="Show debug log", underline=11, style="Small.TButton", command=self.show_log)
        log.pack(side="right")
        return note

    def _key(self, event: tkinter.Event[tkinter.Misc]) -> None:
        key = event.keysym.lower()
        if key == "l":
            self.show_log()
        elif key in self._page.buttons:
            self._page.buttons[key].invoke()

    def _fault(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """Log a fault of the window and show the log; a terminal may not be visible."""
        _LOG.error("A fault in the window: %s", error, exc_info=(kind, error, trace))
        self.show_log()

    def _write_report(self, file: Path) -> None:
        buttons = (
            widget
            for widget in _below(self._root)
            if isinstance(widget, ttk.Button) and widget.winfo_viewable() and not widget.instate(["disabled"])
        )
        places = {
            button.cget("text"): (
                button.winfo_rootx(),
                button.winfo_rooty(),
                button.winfo_width(),
                button.winfo_height(),
            )
            for button in buttons
        }
        texts = [
            str(widget.cget("text"))
            for widget in _below(self._root)
            if isinstance(widget, ttk.Label) and widget.winfo_viewable() and widget.cget("text")
        ]
        text = json.dumps({"page": type(self._page).__name__, "buttons": places, "texts": texts})
        if text != self._reported:
            self._reported = text
            new = file.with_suffix(".new")
            new.write_text(text, "utf-8")
            new.replace(file)  # atomic: readers see the old or the new text


def _below(widget: tkinter.Misc) -> Iterator[tkinter.Misc]:
    for child in widget.winfo_children():
        yield child
        yield from _below(child)


def _now() -> datetime:
    return datetime.now(timezone.utc)
