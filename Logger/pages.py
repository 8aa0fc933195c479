"""The pages of the logger's window, one for each state, created when the state begins."""

from __future__ import annotations

from datetime import datetime, timedelta
from tkinter import ttk
from typing import Callable

from Logger.controller import Ended, Failed, OpenSessionQuestion, Running, Working
from Logger.session_backend import OpenSession
from Logger.theme import WIDTH, Theme

PAGE_MARGIN = 28
"""Points around a page."""
ROOM = WIDTH - 2 * PAGE_MARGIN - 4
"""Points for a line of text, with a reserve for the rounding of fonts."""
Command = Callable[[], object]


class Page(ttk.Frame):
    """A column of texts with buttons below.

    Parameters
    ----------
    parent
        The window.
    look
        Sizes and fonts.
    """

    def __init__(self, parent: ttk.Frame, look: Theme) -> None:
        super().__init__(parent)
        self.look = look
        self.buttons: dict[str, ttk.Button] = {}
        """Buttons by the letter that clicks them together with Alt."""
        self._foot = ttk.Frame(self)
        self._foot.pack(side="bottom", fill="x")

    def text(self, words: str, style: str = "TLabel", gap: float = 0) -> ttk.Label:
        """Add a text below the others, `gap` points from them."""
        label = ttk.Label(self, text=words, style=style, wraplength=self.look.px(ROOM), justify="left")
        label.pack(anchor="w", pady=(self.look.px(gap), 0))
        return label

    def button(self, words: str, key: str, command: Command, style: str = "TButton") -> ttk.Button:
        """Add a button to the foot, below the others."""
        button = ttk.Button(
            self._foot, text=words, underline=words.lower().index(key), style=style, command=command, takefocus=True
        )
        button.pack(fill="x", pady=(self.look.px(8), 0))
        self.buttons[key] = button
        return button

    def name(self, words: str, gap: float = 6) -> None:
        """Add the name of the instrument, large unless it is long."""
        fits = self.look.font(30, bold=True).measure(words) <= self.look.px(ROOM)
        self.text(words, "Name.TLabel" if fits else "LongName.TLabel", gap)


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


class RunningPage(Page):
    """The session is running, also after ending it has failed."""

    def __init__(
        self, parent: ttk.Frame, look: Theme, state: Running | Failed, session: OpenSession, end: Command
    ) -> None:
        super().__init__(parent, look)
        self._since = session.since
        if isinstance(state, Failed):
            self.text(f"{state.sentence} It is still running.", "Bad.TLabel")
            self.text(state.detail, "Muted.TLabel", 4)
        else:
            self.text("●  Session running", "Good.TLabel")
        if state.station is not None:
            self.name(state.station.name, 14)
        self.text(f"Started {moment(session.since)}", gap=6)
        self._elapsed = self.text("", "Muted.TLabel", 2)
        self.button("End session", "e", end, "Accent.TButton")

    def refresh(self, now: datetime) -> None:
        """Update the duration of the session."""
        words = f"Running for {duration(now - self._since)}"
        if words != self._elapsed.cget("text"):
            self._elapsed.configure(text=words)


class QuestionPage(Page):
    """Asks whether to continue the open session or to start a new one."""

    def __init__(
        self, parent: ttk.Frame, look: Theme, state: OpenSessionQuestion, go_on: Command, start_new: Command
    ) -> None:
        super().__init__(parent, look)
        self.text("An earlier session is still open", "Warn.TLabel")
        self.name(state.station.name, 10)
        self.text(f"Started {moment(state.session.since)}", gap=4)
        self.text(f"by {state.session.user}")
        self.text(
            "Continue it if it is your session. A new session ends this one.",
            "Muted.TLabel",
            8,
        )
        self.button("Continue", "c", go_on, "Accent.TButton")
        self.button("New session", "n", start_new)


class ClosePage(Page):
    """Asks before closing whether to end the session, to pause it, or to go back."""

    def __init__(self, parent: ttk.Frame, look: Theme, end: Command, pause: Command, cancel: Command) -> None:
        super().__init__(parent, look)
        self.text("End the session before closing?", "Plain.TLabel")
        self.text(
            "Pause it only if you come back before anyone else uses the instrument, for example after a restart of "
            "this computer. A paused session counts as running.",
            "Muted.TLabel",
            8,
        )
        self.button("End session", "e", end, "Accent.TButton")
        self.button("Pause session", "p", pause)
        self.button("Cancel", "c", cancel)


class FailedPage(Page):
    """The session could not be started."""

    def __init__(self, parent: ttk.Frame, look: Theme, state: Failed, again: Command, close: Command) -> None:
        super().__init__(parent, look)
        self.text(state.sentence, "Bad.TLabel")
        self.text(state.detail, gap=10)
        self.button("Try again", "t", again, "Accent.TButton")
        self.button("Close", "c", close)


class EndedPage(Page):
    """The session has ended."""

    def __init__(self, parent: ttk.Frame, look: Theme, state: Ended, now: datetime, close: Command) -> None:
        super().__init__(parent, look)
        self.text("✓  Session ended", "Good.TLabel")
        self.name(state.station.name, 14)
        self.text(f"Started {moment(state.session.since)}", gap=6)
        self.text(f"Lasted {duration(now - state.session.since)}", "Muted.TLabel", 2)
        self.text("Thank you. This window closes by itself.", gap=16)
        self.button("Close", "c", close)


def moment(time: datetime) -> str:
    """Return a time in words, by this computer's clock and zone: ``at 14:32 on Friday, 20 November``."""
    local = time.astimezone()
    return f"at {local:%H:%M} on {local:%A}, {local.day} {local:%B}"


def duration(span: timedelta) -> str:
    """Return a time span in words: ``2 h 15 min``."""
    minutes = int(span.total_seconds() // 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes // 60} h {minutes % 60:02} min" if minutes >= 60 else f"{minutes} min"
