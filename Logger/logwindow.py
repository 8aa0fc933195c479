"""The window that shows the debug log and copies it to the clipboard."""

from __future__ import annotations

import tkinter
from tkinter import ttk

from Logger.debuglog import DebugLog
from Logger.theme import BORDER, CARD, INK, PAPER, Theme


class LogWindow(tkinter.Toplevel):
    """The debug log.

    Parameters
    ----------
    root
        The main window.
    look
        Sizes and fonts.
    log
        The log to show; new lines appear as they arrive.
    support
        Address for sending the log; empty if the facility has none.
    """

    def __init__(self, root: tkinter.Tk, look: Theme, log: DebugLog, support: str) -> None:
        super().__init__(root, background=PAPER)
        self.title("Debug log")
        self._log = log
        self._shown = -1
        body = ttk.Frame(self, padding=look.px(14))
        body.pack(fill="both", expand=True)
        recipient = f"to {support}" if support else "to the staff of your facility"
        words = f"If this window opened by itself, please press “Copy” and send the text {recipient}."
        width = self._place(root, look)
        ttk.Label(body, text=words, wraplength=width - look.px(36), style="Small.TLabel").pack(anchor="w")
        foot = ttk.Frame(body)
        foot.pack(side="bottom", fill="x", pady=(look.px(8), 0))
        self.copied = ttk.Button(foot, text="Copy", underline=0, style="Small.TButton", command=self.copy)
        self.copied.pack(side="left")
        ttk.Button(foot, text="Close log", underline=6, style="Small.TButton", command=self.destroy).pack(side="right")
        bar = ttk.Scrollbar(body)
        bar.pack(side="right", fill="y", pady=(look.px(8), 0))
        self._text = tkinter.Text(
            body, width=1, height=1, wrap="word", font=look.font(9.5, fixed=True), background=CARD, foreground=INK,
            relief="flat", highlightthickness=1, highlightbackground=BORDER, highlightcolor=BORDER, state="disabled",
            padx=look.px(6), pady=look.px(4), yscrollcommand=bar.set,
        )  # fmt: skip
        self._text.pack(fill="both", expand=True, pady=(look.px(8), 0))
        bar.configure(command=self._text.yview)
        for keys in ("<Escape>", "<Alt-l>", "<Alt-L>"):
            self.bind(keys, lambda _event: self.destroy())
        for keys in ("<Alt-c>", "<Alt-C>"):
            self.bind(keys, lambda _event: self.copy())
        self.refresh()

    def refresh(self) -> None:
        """Show new lines."""
        if self._log.count == self._shown:
            return
        self._shown = self._log.count
        self._text.configure(state="normal")
        self._text.replace("1.0", "end", self._log.text())
        self._text.configure(state="disabled")
        self._text.see("end")
        self.copied.configure(text="Copy")

    def copy(self) -> None:
        """Copy the whole log to the clipboard."""
        self.clipboard_clear()
        self.clipboard_append(self._log.text())
        self.copied.configure(text="Copied")

    def _place(self, root: tkinter.Tk, look: Theme) -> int:
        """Place the window beside the main window if there is space, else below its headline; return the width."""
        gap = look.px(12)
        beside = root.winfo_rootx() + root.winfo_width() + gap
        room = self.winfo_screenwidth() - beside - gap
        if room >= look.px(300):
            width = min(room, look.px(460))
            self.geometry(f"{width}x{root.winfo_height()}+{beside}+{root.winfo_y()}")
            return width
        width = min(look.px(460), self.winfo_screenwidth() - 2 * gap)
        height = look.px(190)
        left = (self.winfo_screenwidth() - width) // 2
        below = root.winfo_rooty() + root.winfo_height() - look.px(60)
        top = min(below, self.winfo_screenheight() - height - look.px(40))
        self.geometry(f"{width}x{height}+{left}+{top}")
        return width
