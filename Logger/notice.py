"""A window with a sentence."""

from __future__ import annotations

import tkinter
from tkinter import ttk

from Logger.page import PAGE_MARGIN, ROOM
from Logger.theme import WIDTH, Theme, centre


def show_notice(root: tkinter.Tk, sentence: str) -> None:
    """Show a sentence in Tk's main window until the user closes it."""
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
    root.mainloop()
