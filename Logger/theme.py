"""Colours, fonts and sizes of the logger, the same on every screen."""

from __future__ import annotations

import sys
import tkinter
from tkinter import font as tkfont
from tkinter import ttk

from Logger import icon

WIDTH, HEIGHT = 420, 400
"""Size of the window in points."""
SHARE = 0.42
"""Least share of the screen's height for the window: it is read from two metres, and not every system reports the
resolution of its screen."""
LARGEST_SCREEN_SHARE = 0.86
"""Largest share of the screen's width or height for the window, without decorations."""

TALLEST = 0.92
"""Largest share of the screen's height for a window with long texts."""

PAPER = "#f6f7f8"
CARD = "#ffffff"
INK = "#1b2733"
MUTED = "#566370"
BORDER = "#c3cbd2"
ACCENT = "#0f5c7a"
ACCENT_DARK = "#0b465e"
GOOD = "#1e7a4c"
WARN = "#9a5b00"
BAD = "#b3261e"


class Theme:
    """Styles of a Tk application, scaled to its screen.

    Parameters
    ----------
    root
        The main window.
    """

    def __init__(self, root: tkinter.Tk) -> None:
        point = root.winfo_fpixels("1p")
        across = root.winfo_screenwidth() / (WIDTH * point)
        down = root.winfo_screenheight() / (HEIGHT * point)
        self._unit = point * min(max(1.0, SHARE * down), LARGEST_SCREEN_SHARE * across, LARGEST_SCREEN_SHARE * down)
        self._fonts: dict[str, tkfont.Font] = {}
        root.configure(background=PAPER)
        self._icon = tkinter.PhotoImage(master=root, data=icon.png(64), format="png")
        root.iconphoto(True, self._icon)
        self._styles(ttk.Style(root))

    def px(self, points: float) -> int:
        """Return the pixels for a length in design points."""
        return round(points * self._unit)

    def font(self, points: float, *, bold: bool = False, fixed: bool = False) -> tkfont.Font:
        """Return a font of the system's default family."""
        key = f"{points} {bold} {fixed}"
        if key not in self._fonts:
            family = tkfont.nametofont("TkFixedFont" if fixed else "TkDefaultFont").actual("family")
            # A negative size is in pixels, which are scaled already.
            self._fonts[key] = tkfont.Font(family=family, size=-self.px(points), weight="bold" if bold else "normal")
        return self._fonts[key]

    def _styles(self, style: ttk.Style) -> None:
        style.theme_use("clam")
        style.configure(
            ".", background=PAPER, foreground=INK, font=self.font(14), bordercolor=BORDER, focuscolor=ACCENT
        )
        for name, colour in (("Good", GOOD), ("Warn", WARN), ("Bad", BAD), ("Plain", INK)):
            style.configure(f"{name}.TLabel", foreground=colour, font=self.font(17, bold=True))
        style.configure("Name.TLabel", font=self.font(30, bold=True))
        style.configure("LongName.TLabel", font=self.font(20, bold=True))
        style.configure("Muted.TLabel", foreground=MUTED)
        style.configure("Amber.TLabel", foreground=WARN)
        style.configure("Small.TLabel", foreground=MUTED, font=self.font(11))
        style.configure(
            "Horizontal.TProgressbar", troughcolor="#e1e6ea", background=ACCENT, bordercolor="#e1e6ea",
            lightcolor=ACCENT, darkcolor=ACCENT, thickness=self.px(12),
        )  # fmt: skip
        self._button(style, "TButton", CARD, "#eaf1f4", INK, BORDER, self.font(15))
        self._button(style, "Accent.TButton", ACCENT, ACCENT_DARK, "#ffffff", ACCENT, self.font(22, bold=True))
        self._button(style, "Row.TButton", CARD, "#eaf1f4", INK, BORDER, self.font(12))
        self._button(style, "Small.TButton", PAPER, "#e6ecef", ACCENT, BORDER, self.font(11))
        self._list(style)
        style.configure("TButton", padding=self.px(9))
        style.configure("Row.TButton", padding=(self.px(4), self.px(7)))
        style.configure("Accent.TButton", padding=self.px(14), focuscolor="#ffffff")
        style.configure("Small.TButton", padding=(self.px(8), self.px(4)))

    def _list(self, style: ttk.Style) -> None:
        font = self.font(12)
        style.configure(
            "Files.Treeview", font=font, rowheight=round(1.5 * font.metrics("linespace")), background=CARD,
            fieldbackground=CARD, foreground=INK, bordercolor=BORDER, indent=0,
        )  # fmt: skip
        style.configure("Files.Treeview.Heading", font=self.font(11), background=PAPER, foreground=MUTED, relief="flat")
        style.map("Files.Treeview", background=[("selected", ACCENT)], foreground=[("selected", "#ffffff")])

    def _button(
        self, style: ttk.Style, name: str, face: str, over: str, ink: str, edge: str, font: tkfont.Font
    ) -> None:
        style.configure(
            name, background=face, foreground=ink, bordercolor=edge, lightcolor=face, darkcolor=face, font=font,
            relief="raised", borderwidth=1, focusthickness=2,
        )  # fmt: skip
        faces = [("disabled", "#d5dce1"), ("pressed", over), ("active", over)]
        style.map(
            name, background=faces, lightcolor=faces, darkcolor=faces, foreground=[("disabled", "#8a959e")],
            bordercolor=[("disabled", "#d5dce1"), ("focus", ACCENT_DARK)],
        )  # fmt: skip


def centre(window: tkinter.Tk | tkinter.Toplevel, width: int, height: int) -> None:
    """Centre a window of this size on the screen."""
    height = min(height, round(TALLEST * window.winfo_screenheight()))  # then texts are cut, but not buttons
    left = (window.winfo_screenwidth() - width) // 2
    top = (window.winfo_screenheight() - height) * 2 // 5  # above it is a title bar, below a task bar
    window.geometry(f"{width}x{height}+{max(left, 0)}+{max(top, 0)}")


def sharp_on_windows() -> None:
    """Declare to Windows that we draw in the screen's real resolution; otherwise it would scale a blurred image.

    Call it before the first window is created.
    """
    if sys.platform == "win32":
        import ctypes

        try:
            ctypes.windll.shcore.SetProcessDpiAwareness(1)
        except (AttributeError, OSError):  # before Windows 8.1
            ctypes.windll.user32.SetProcessDPIAware()
