"""What the pages of the logger's window are made of: texts in a column, and buttons below."""

from __future__ import annotations

import tkinter
from tkinter import ttk
from typing import Callable

from Logger.theme import BORDER, CARD, INK, WIDTH, Theme

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
        self.first: tkinter.Misc | None = None
        """What has the keyboard at first; by default the first button."""
        self._foot = ttk.Frame(self)
        self._foot.pack(side="bottom", fill="x")

    def text(self, words: str, style: str = "TLabel", gap: float = 0) -> ttk.Label:
        """Add a text below the others, `gap` points from them."""
        label = ttk.Label(self, text=words, style=style, wraplength=self.look.px(ROOM), justify="left")
        label.pack(anchor="w", pady=(self.look.px(gap), 0))
        return label

    def button(self, words: str, key: str, command: Command, style: str = "TButton") -> ttk.Button:
        """Add a button to the foot, below the others."""
        button = self._made(self._foot, words, key, command, style)
        button.pack(fill="x", pady=(self.look.px(8), 0))
        return button

    def row(self, *buttons: tuple[str, str, Command]) -> list[ttk.Button]:
        """Add buttons beside each other to the foot: text, key, command."""
        frame = ttk.Frame(self._foot)
        frame.pack(fill="x", pady=(self.look.px(8), 0))
        made = []
        for column, (words, key, command) in enumerate(buttons):
            frame.columnconfigure(column, weight=1, uniform="row")
            made.append(self._made(frame, words, key, command, "Row.TButton"))
            left = 0 if column == 0 else self.look.px(6)
            made[-1].grid(row=0, column=column, sticky="ew", padx=(left, 0))
        return made

    def _made(self, parent: ttk.Frame, words: str, key: str, command: Command, style: str) -> ttk.Button:
        button = ttk.Button(
            parent, text=words, underline=words.lower().index(key), style=style, command=command, takefocus=True
        )
        self.buttons[key] = button
        return button

    def show_button(self, key: str, button: ttk.Button, *, visible: bool) -> None:
        """Show a button of the foot, or hide it, together with its key."""
        if visible and key not in self.buttons:
            button.pack(fill="x", pady=(self.look.px(8), 0))
            self.buttons[key] = button
        elif not visible and self.buttons.pop(key, None) is not None:
            button.pack_forget()

    def name(self, words: str, gap: float = 6) -> None:
        """Add the name of the instrument, large unless it is long."""
        fits = self.look.font(30, bold=True).measure(words) <= self.look.px(ROOM)
        self.text(words, "Name.TLabel" if fits else "LongName.TLabel", gap)

    def field(self, lines: int = 1) -> tkinter.Text:
        """Add a field to write in."""
        look = self.look
        field = tkinter.Text(
            self, width=1, height=lines, wrap="word", font=look.font(14), background=CARD, foreground=INK,
            relief="flat", highlightthickness=1, highlightbackground=BORDER, highlightcolor=INK, undo=True,
            padx=look.px(6), pady=look.px(4),
        )  # fmt: skip
        field.pack(fill="x", pady=(look.px(8), 0))
        field.bind("<Tab>", lambda event: _next(event.widget))
        return field


class OptionalText(ttk.Frame):
    """A text of a page that takes no room while it is empty.

    Parameters
    ----------
    page
        The page; the text is below what it has already.
    style
        Of the label.
    gap
        Points above it.
    """

    def __init__(self, page: Page, style: str = "TLabel", gap: float = 0) -> None:
        super().__init__(page)
        self._gap = page.look.px(gap)
        self._label = ttk.Label(self, style=style, wraplength=page.look.px(ROOM), justify="left")
        self.pack(fill="x")

    def show(self, words: str) -> None:
        """Change the text."""
        self._label.configure(text=words)
        if words:
            self._label.pack(anchor="w", pady=(self._gap, 0))
        else:
            self._label.pack_forget()
            self.configure(height=1)  # a frame keeps its size when it loses what is in it


def _next(widget: tkinter.Misc) -> str:
    following = widget.tk_focusNext()
    if following is not None:
        following.focus_set()
    return "break"
