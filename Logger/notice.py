"""A window with a sentence."""

from __future__ import annotations

import tkinter
from tkinter import ttk

from Logger.page import PAGE_MARGIN, ROOM
from Logger.theme import WIDTH, Theme, centre

AT_TOP_SECONDS = 6
"""How long a notice stays that lies at the top of the screen."""


def show_notice(root: tkinter.Tk, sentence: str, *, at_top: bool = False) -> None:
    """Show a sentence in Tk's main window until the user closes it.

    Parameters
    ----------
    root, sentence
        The window, and what it says.
    at_top
        Show it at the top of the screen, since another window is in the middle; it goes by itself.
    """
    look = Theme(root)
    root.title("Session logger")
    root.resizable(False, False)
    body = ttk.Frame(root, padding=look.px(PAGE_MARGIN))
    body.pack(fill="both", expand=True)
    ttk.Label(body, text=sentence, font=look.font(16), wraplength=look.px(ROOM), justify="left").pack(anchor="w")
    button = ttk.Button(body, text="Close", style="Accent.TButton", command=root.quit)
    button.pack(side="bottom", fill="x", pady=(look.px(20), 0))
    button.focus_set()
    for key in ("<Return>", "<space>", "<Escape>"):
        root.bind(key, lambda _event: root.quit())
    root.protocol("WM_DELETE_WINDOW", root.quit)
    root.update_idletasks()
    centre(root, look.px(WIDTH), root.winfo_reqheight())
    if at_top:
        root.geometry(f"+{(root.winfo_screenwidth() - look.px(WIDTH)) // 2}+0")
        root.after(AT_TOP_SECONDS * 1000, root.quit)
    root.mainloop()
