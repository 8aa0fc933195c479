"""What the logger's window shows of a session's files: a line, a list, and the page after the end."""

from __future__ import annotations

from datetime import datetime, timedelta
from tkinter import ttk
from typing import Callable

from Logger.page import ROOM, Command, OptionalText, Page
from Logger.states import Ended
from Logger.theme import Theme
from Logger.transfer.tracked import FileKey, FileStage
from Logger.transfer.views import FileView, TransferView
from Logger.words import completion, duration, file_state, moment, next_try, transfer_line, waited_for

FILES_BUTTON = 60
"""Points for the button beside the line."""
LINES = 7
"""Lines of the list that are seen at once, at least."""
SENT_LATER = "You can close this window: the rest is sent the next time the session logger runs here."


class FilesLine(ttk.Frame):
    """A line about the files of a session, with a button that lists them; invisible if they are not transferred."""

    def __init__(self, page: Page, look: Theme, files: Command, after: OptionalText) -> None:
        super().__init__(page)
        self._look = look
        self._page = page
        self._after = after
        self._words = ttk.Label(self, style="Muted.TLabel", justify="left", wraplength=look.px(ROOM - FILES_BUTTON))
        self._words.pack(side="left", fill="x", expand=True)
        self._button = ttk.Button(self, text="Files", underline=0, style="Small.TButton", command=files)
        self._button.pack(side="right")

    def show(self, view: TransferView | None, earlier: int) -> None:
        """Show how many files there are, and how far they have come."""
        if view is None:
            return
        self._words.configure(
            text=transfer_line(view, earlier), style="Amber.TLabel" if view.troubled or view.unread else "Muted.TLabel"
        )
        if "f" not in self._page.buttons:
            self._page.buttons["f"] = self._button
            self.pack(fill="x", pady=(self._look.px(4), 0), after=self._after)


class FilesPage(Page):
    """The files of a session, each with its state.

    Parameters
    ----------
    parent, look
        As for the other pages.
    view
        The transfer.
    send
        Called with a file that is held back and that the user wants to be sent.
    back
        Command of the button.
    """

    def __init__(
        self, parent: ttk.Frame, look: Theme, view: TransferView, send: Callable[[FileKey], object], back: Command
    ) -> None:
        super().__init__(parent, look)
        self._send = send
        self._shown: dict[str, FileView] = {}
        """The lines, by their name in the list."""
        self._head = self.text("")
        self._unread = OptionalText(self, "Amber.TLabel", 2)
        self._button, _ = self.row(("Send", "s", self._send_selected), ("Back", "b", back))
        self._about = ttk.Label(self, style="Small.TLabel", wraplength=look.px(ROOM), justify="left")
        self._about.pack(side="bottom", anchor="w", pady=(look.px(4), 0))
        room = ttk.Frame(self)
        room.pack(fill="both", expand=True, pady=(look.px(6), 0))
        bar = ttk.Scrollbar(room)
        bar.pack(side="right", fill="y")
        columns = (("file", "File", 0.5), ("state", "State", 0.28), ("again", "Next try", 0.22))
        self._list = ttk.Treeview(
            room, columns=[name for name, _, _ in columns], show="headings", height=LINES, selectmode="extended",
            style="Files.Treeview", yscrollcommand=bar.set,
        )  # fmt: skip
        bar.configure(command=self._list.yview)
        for name, title, share in columns:
            self._list.heading(name, text=title, anchor="w")
            self._list.column(name, width=look.px(ROOM * share), anchor="w", stretch=name == "file")
        self._list.pack(side="left", fill="both", expand=True)
        self._list.bind("<<TreeviewSelect>>", lambda _event: self._select())
        self.first = self._list
        self.show(view)

    def show(self, view: TransferView) -> None:
        """Show the files as they are now; what is selected stays selected."""
        self._head.configure(text=transfer_line(view, 0))
        self._unread.show(" ".join(view.unread) or view.problem or view.obstacle or waited_for(view))
        known = {ascii("/".join(file.key)): file for file in view.files}
        for line in self._shown.keys() - known.keys():
            self._list.delete(line)
        for place, (line, file) in enumerate(known.items()):
            values = (file.name, file_state(file), next_try(file))
            if line not in self._shown:
                self._list.insert("", place, line, values=values)
            else:
                if self._shown[line] != file:
                    self._list.item(line, values=values)
                if self._list.index(line) != place:
                    self._list.move(line, "", place)
        self._shown = known
        if known and not self._list.focus():
            first = next(iter(known))
            self._list.focus(first)
            self._list.selection_set(first)
        self._select()

    def _select(self) -> None:
        chosen = [self._shown[line] for line in self._list.selection() if line in self._shown]
        words = ""
        if len(chosen) == 1:
            (file,) = chosen
            reason = f" ({file.reason.rstrip('.')})" if file.reason else ""
            again = f", next try at {next_try(file)}" if file.next_try else ""
            words = f"{file.name}: {file_state(file)}{reason}{again}."
        elif not self._shown:
            words = "There are no files yet."
        self._about.configure(text=words)
        held = any(file.stage is FileStage.HELD for file in chosen)
        self._button.state(["!disabled" if held else "disabled"])

    def _send_selected(self) -> None:
        for line in self._list.selection():
            file = self._shown.get(line)
            if file is not None and file.stage is FileStage.HELD:
                self._send(file.key)


class EndedPage(Page):
    """The session has ended; its files may still be on their way.

    Parameters
    ----------
    parent, look, state
        As for the other pages.
    now
        The present.
    files, without, close
        Commands of the buttons.
    """

    def __init__(
        self,
        parent: ttk.Frame,
        look: Theme,
        state: Ended,
        now: datetime,
        files: Command,
        without: Command,
        close: Command,
    ) -> None:
        super().__init__(parent, look)
        self.text("✓  Session ended", "Good.TLabel")
        self.name(state.station.name, 14)
        self.text(f"Started {moment(state.session.since)}", gap=6)
        self.text(f"Lasted {duration(now - state.session.since)}", "Muted.TLabel", 2)
        self._amber = OptionalText(self, "Amber.TLabel", 8)
        self._record = OptionalText(self, gap=8)
        self._files = FilesLine(self, look, files, self._record)
        self._bar = ttk.Progressbar(self, maximum=1.0)
        self._count = OptionalText(self, "Muted.TLabel", 8)
        self._closes: datetime | None = None
        self.button("Close", "c", close)
        self._without = self.button("Finish without these", "w", without)
        self.show_button("w", self._without, visible=False)
        self.show(state, now)

    def show(self, state: Ended, now: datetime) -> None:
        """Show a state of the same session."""
        view, is_last = state.transfer, state.is_last
        ambers = []
        if state.delivery.waiting:
            ambers.append(f"{state.delivery.reason} The end is saved, and sent as soon as possible.")
        elif view is not None and not is_last and view.problem:
            ambers.append(view.problem)
        elif view is not None and not is_last and view.obstacle:
            ambers.append(view.obstacle)
        if view is not None and is_last and view.missing:
            ambers.append(completion(view))
        self._amber.show(" ".join(ambers))
        self._record.show(self._about_record(state))
        self._files.show(view if view is not None and not (is_last and view.total == 0) else None, 0)
        if view is not None and not is_last:
            self._bar.configure(value=view.sent / view.bytes if view.bytes else 0.0)
            self._bar.pack(fill="x", pady=(self.look.px(6), 0), after=self._files)
        else:
            self._bar.pack_forget()
        self.show_button("w", self._without, visible=view is not None and view.can_finish)
        if is_last and self._closes is None:
            self._closes = now + timedelta(seconds=state.close_delay)

    def is_over(self, now: datetime) -> bool:
        """Return whether the countdown is over."""
        return self._closes is not None and now >= self._closes

    def refresh(self, now: datetime) -> None:
        """Count down."""
        if self._closes is not None:
            left = max(0, -int(-(self._closes - now).total_seconds() // 1))
            self._count.show(f"Thank you. This window closes in {left} s.")

    @staticmethod
    def _about_record(state: Ended) -> str:
        view = state.transfer
        if view is None:
            return "" if state.delivery.waiting else "A record of this session is being made."
        if not state.is_last:
            return f"Its files are being sent; the record is made after that. {SENT_LATER}"
        if view.missing:
            return "A record of this session is being made of what is there."
        return f"{completion(view)} A record of this session is being made."
