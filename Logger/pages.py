"""The pages of the logger's window, one for each state, created when the state begins."""

from __future__ import annotations

from datetime import datetime, timedelta
from tkinter import ttk
from typing import Callable

from Logger.delivery import DeliveryState
from Logger.facility import Booking
from Logger.file_pages import FilesLine
from Logger.page import Command, OptionalText, Page
from Logger.states import Failed, OpenSessionQuestion, Overtaken, Running, UserQuestion, Working
from Logger.theme import Theme
from Logger.words import duration, earlier_time, moment, until

LONGEST_TEXT = 16_000
"""Most characters of a note: with four bytes each the facility still takes it."""
KEEP_WORKING = "Keep working: everything is saved on this computer."


class WorkingPage(Page):
    """The present step of the logger."""

    def __init__(self, parent: ttk.Frame, look: Theme) -> None:
        super().__init__(parent, look)
        self._step = self.text("", "Plain.TLabel", 66)
        self._bar = ttk.Progressbar(self, maximum=1.0)
        self._bar.pack(fill="x", pady=look.px(16))
        self._count = self.text("", "Muted.TLabel")

    def show(self, state: Working, closing: bool) -> None:
        """Show a step."""
        self._step.configure(text=f"{state.step} …")
        self._bar.configure(value=(state.number - 0.5) / state.of)
        count = f"Step {state.number} of {state.of}."
        self._count.configure(text=f"{count} The window can be closed after that." if closing else count)


class UserPage(Page):
    """Asks who works, where the account is shared."""

    def __init__(
        self, parent: ttk.Frame, look: Theme, state: UserQuestion, choose: Callable[[str], object], close: Command
    ) -> None:
        super().__init__(parent, look)
        self._choose = choose
        self.text("Who works here now?", "Plain.TLabel")
        self.name(state.station.name, 10)
        self.text("Your name, or your account at the facility:", gap=8)
        self._field = self.field()
        self._field.bind("<Return>", self._entered)
        for number, name in enumerate(state.names, 1):
            self.button(f"{number}  {name}", str(number), lambda name=name: choose(name))  # type: ignore[misc]
        self.button("Start session", "s", self._take, "Accent.TButton")
        self.button("Close", "c", close)
        self.first = self._field

    def _entered(self, _event: object) -> str:
        self._take()
        return "break"  # no line break in the name

    def _take(self) -> None:
        name = self._field.get("1.0", "end").strip()
        if name:
            self._choose(name)


class RunningPage(Page):
    """The session is running, also after something has failed.

    Parameters
    ----------
    parent, look
        As for `Page`.
    state
        What is running.
    end, pause, resume, note, problem, files
        Commands of the buttons.
    """

    def __init__(
        self,
        parent: ttk.Frame,
        look: Theme,
        state: Running | Failed,
        end: Command,
        pause: Command,
        resume: Command,
        note: Command,
        problem: Command,
        files: Command,
    ) -> None:
        super().__init__(parent, look)
        self._head = self.text("", "Good.TLabel")
        if state.station is not None:
            self.name(state.station.name, 8)
        self._started = self.text("", gap=4)
        self._elapsed = self.text("", "Muted.TLabel", 2)
        self._booking = OptionalText(self, "Muted.TLabel", 2)
        self._files = FilesLine(self, look, files, self._booking)
        self._amber = OptionalText(self, "Amber.TLabel", 6)
        self._notice = OptionalText(self, "Muted.TLabel", 4)
        self._reminder = OptionalText(self, "Amber.TLabel", 6)
        self._pause, self._resume = pause, resume
        self._break, _, _ = self.row(("Pause", "p", pause), ("Add note", "n", note), ("Report problem", "r", problem))
        self.button("End session", "e", end, "Accent.TButton")
        self.show(state)

    def show(self, state: Running | Failed) -> None:
        """Show a state of the same session."""
        assert state.session is not None  # noqa: S101  else another page is shown
        self._since = state.session.since
        self._started.configure(text=f"Started {moment(self._since)}\nby {state.session.user}")
        if isinstance(state, Failed):
            self._head.configure(text=f"{state.sentence} The session is still running.", style="Bad.TLabel")
            self._amber.show(state.detail)
            return
        paused = state.paused
        self._head.configure(
            text="‖  Session paused" if paused else "●  Session running",
            style="Warn.TLabel" if paused else "Good.TLabel",
        )
        key, former, words = ("u", "p", "Resume") if paused else ("p", "u", "Pause")
        self._break.configure(
            text=words, underline=words.lower().index(key), command=self._resume if paused else self._pause
        )
        self.buttons.pop(former, None)
        self.buttons[key] = self._break
        self._booking.show(_booked(state.booking, state.following))
        self._files.show(state.transfer, state.earlier)
        self._amber.show(undelivered(state.delivery))
        self._notice.show(state.notice)

    def remind(self, sentence: str) -> None:
        """Show a sentence until another, or an empty one, is shown."""
        self._reminder.show(sentence)

    def refresh(self, now: datetime) -> None:
        """Update the duration of the session."""
        words = f"Running for {duration(now - self._since)}"
        if words != self._elapsed.cget("text"):
            self._elapsed.configure(text=words)


class TextPage(Page):
    """A note, or a problem with the instrument."""

    def __init__(
        self, parent: ttk.Frame, look: Theme, question: str, save: Callable[[str], object], cancel: Command, draft: str
    ) -> None:
        super().__init__(parent, look)
        self._save_text = save
        self.text(question, "Plain.TLabel")
        self._field = self.field(6)
        self._field.insert("1.0", draft)
        self._mistake = self.text("", "Amber.TLabel", 4)
        self.first = self._field
        for keys in ("<Control-Return>", "<Alt-s>"):
            self._field.bind(keys, self._entered)
        self.button("Save", "s", self._save, "Accent.TButton")
        self.button("Cancel", "c", cancel)

    def _entered(self, _event: object) -> str:
        self._save()
        return "break"

    def _save(self) -> None:
        text = self._field.get("1.0", "end").strip()
        if len(text) > LONGEST_TEXT:
            self._mistake.configure(text=f"The text has {len(text):,} characters; {LONGEST_TEXT:,} fit. Shorten it.")
        elif text:
            self._save_text(text)


class QuestionPage(Page):
    """Asks whether to continue the open session or to start a new one."""

    def __init__(
        self,
        parent: ttk.Frame,
        look: Theme,
        state: OpenSessionQuestion,
        go_on: Command,
        start_new: Callable[[datetime | None], object],
    ) -> None:
        super().__init__(parent, look)
        self._session, self._start_new = state.session, start_new
        self.text("An earlier session is still open", "Warn.TLabel")
        self.name(state.station.name, 8)
        where = f", at {state.session.computer}" if state.session.computer else ""
        self.text(f"Started {moment(state.session.since)}\nby {state.session.user}{where}", gap=4)
        self._times: dict[str, datetime | None] = {"now": None}
        if state.session.last is not None:
            self.text(f"Last activity {moment(state.session.last)}", "Muted.TLabel", 2)
            self._times[f"at its last activity, {state.session.last.astimezone():%H:%M}"] = state.session.last
        line = ttk.Frame(self)
        line.pack(fill="x", pady=(look.px(10), 0))
        ttk.Label(line, text="If you start a new one, it ended").pack(side="left")
        self._end = ttk.Combobox(line, values=list(self._times), font=look.font(14), width=24)
        self._end.set(next(iter(self._times)))
        self._end.pack(side="left", padx=(look.px(8), 0), fill="x", expand=True)
        self._mistake = self.text("or type a time as 14:30.", "Small.TLabel", 2)
        self.button("Continue", "c", go_on, "Accent.TButton")
        self.button("New session", "n", self._new)

    def _new(self) -> None:
        words = self._end.get().strip()
        if words in self._times:
            self._start_new(self._times[words])
            return
        found = earlier_time(words, datetime.now().astimezone())
        if found is None or found < self._session.since:
            self._mistake.configure(
                text=f"Write a time after {self._session.since:%H:%M} as 14:30, or choose from the list.",
                style="Amber.TLabel",
            )
            return
        self._start_new(found)


class ClosePage(Page):
    """Asks before closing whether to end the session, to pause it, or to go back."""

    def __init__(self, parent: ttk.Frame, look: Theme, end: Command, pause: Command, cancel: Command) -> None:
        super().__init__(parent, look)
        self.text("End the session before closing?", "Plain.TLabel")
        self.text(
            "Pause it only if you come back before anyone else uses the instrument, for example after a restart of "
            "this computer. A paused session stays open.",
            "Muted.TLabel",
            8,
        )
        self.button("End session", "e", end, "Accent.TButton")
        self.button("Pause session", "p", pause)
        self.button("Cancel", "c", cancel)


class FailedPage(Page):
    """The session could not be started.

    Parameters
    ----------
    parent, look, state
        As for the other pages.
    again, offline, copy, close
        Commands of the buttons.
    """

    def __init__(
        self,
        parent: ttk.Frame,
        look: Theme,
        state: Failed,
        again: Command,
        offline: Command,
        copy: Command,
        close: Command,
    ) -> None:
        super().__init__(parent, look)
        self.text(state.sentence, "Bad.TLabel")
        self.text(state.detail, gap=10)
        self.button("Try again", "t", again, "Accent.TButton")
        if state.can_go_on:
            self.button("Work offline", "w", offline)
        self.row(("Copy debug log", "d", copy), ("Close", "c", close))


class OvertakenPage(Page):
    """The session has ended at the facility, without its user."""

    def __init__(self, parent: ttk.Frame, look: Theme, state: Overtaken, again: Command, close: Command) -> None:
        super().__init__(parent, look)
        self.text("Your session has been ended", "Warn.TLabel")
        self.name(state.station.name, 10)
        self.text(
            f"The session that began {moment(state.session.since)} has been ended at the facility: by its staff, or "
            "because another session was started on this instrument while the facility could not be reached from "
            "here. Nothing of it is lost.",
            gap=8,
        )
        self.button("Start a new session", "s", again, "Accent.TButton")
        self.button("Close", "c", close)


def undelivered(state: DeliveryState) -> str:
    """Return what to say about events that the facility does not have; empty if there are none, or no answer yet."""
    if state.refused:
        return f"The facility did not accept this: {state.refused} Please tell its staff."
    if not state.waiting or not state.reason:
        return ""
    age = duration(timedelta(microseconds=state.oldest))
    return f"Not delivered yet, {age}. {state.reason} {KEEP_WORKING}"


def _booked(now: Booking | None, following: Booking | None) -> str:
    if now is not None:
        title = f": {now.title}" if now.title else ""
        return f"Booked by {now.user or 'somebody'} until {until(now.end)}{title}"
    if following is not None:
        return f"Not booked now; next is {following.user or 'somebody'}, {until(following.begin)}"
    return ""
