"""How titles of cancelled meetings begin: a setting, for all kinds of calendar whose events are iCalendar's."""

from __future__ import annotations

from NexusCore.config import NamedConfiguration

CANCELLED_TITLES = (
    "canceled:", "cancelled:", "abgesagt:", "avlyst:", "aflyst:", "inställd:", "inställt:", "peruttu:", "peruutettu:",
    "annulé:", "annulé :", "annullato:", "annullata:", "cancelado:", "cancelada:", "geannuleerd:", "odwołane:",
    "zrušeno:", "törölve:", "已取消:",
)  # fmt: skip
"""What Outlook writes before the title of a meeting that was cancelled."""


def cancelled_titles_of(config: NamedConfiguration) -> tuple[str, ...]:
    """Return how titles of cancelled meetings begin, in small letters, as the settings of a kind of source say."""
    config.set_default(
        "cancelled_titles",
        ", ".join(CANCELLED_TITLES),
        comment="Beginnings of titles that say that a meeting was cancelled, with commas between them.",
    )
    titles = str(config["cancelled_titles"] or "").split(",")
    return tuple(title.strip().casefold() for title in titles if title.strip())
