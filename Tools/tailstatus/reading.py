"""Showing values: present values, past changes, and new changes as they happen."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from NexusCore.status.store import StatusSample, arriving, changes
from NexusCore.storage import Database
from NexusCore.storage.pagination import PagePosition
from NexusCore.tail import Tail
from Tools.common.following import follow, patiently, read_on, up_to
from Tools.common.terminal import Screen
from Tools.tailstatus.showing import (
    Renewals,
    Show,
    channels_of,
    is_wanted,
    no_match,
    present,
    report_missing,
    shower,
    table,
)


def show_now(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show the present values."""
    samples = present(database, arguments.wanted)
    chosen = list(_chosen(samples, arguments.wanted))
    if not chosen:
        screen.fail(no_match(samples, arguments.wanted))
        return EXIT_FAILURE
    if arguments.json or arguments.csv:
        show = shower(arguments, screen, SYSTEM_CLOCK.now)
        for sample in chosen:
            show(sample)
    else:
        table(chosen, SYSTEM_CLOCK.now(), screen)
    report_missing(samples, arguments.wanted, screen)
    return EXIT_OK


def show_changes(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show the changes since a time."""
    show = _news(arguments, screen)
    shown = False
    for sample in _changes(database, arguments):
        show(sample)
        shown = True
    if shown and len(arguments.wanted) < 2:
        return EXIT_OK
    samples = present(database, arguments.wanted)
    if shown:
        report_missing(samples, arguments.wanted, screen)
        return EXIT_OK
    known = next(_chosen(samples, arguments.wanted), None) is not None
    screen.fail("No changes since then." if known else no_match(samples, arguments.wanted))
    return EXIT_FAILURE


def show_and_follow(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show the present values, or the changes since a time, and then every new change."""
    screen.live()
    tail = Tail(database, arriving(channels_of(arguments.wanted)), SYSTEM_CLOCK)
    show = _news(arguments, screen)
    new: list[StatusSample] = []
    if arguments.since is None:

        def begin() -> tuple[list[StatusSample], list[StatusSample]]:
            tail.begin()
            return present(database, arguments.wanted), tail.poll()

        now, new = patiently(screen, begin)
        # For values that changed meanwhile, the changes are shown; the present value is among them.
        changed = {(sample.channel, sample.name) for sample in new}
        unchanged = [sample for sample in now if (sample.channel, sample.name) not in changed]
        for sample in sorted(_chosen(unchanged, arguments.wanted), key=lambda sample: sample.ts):
            show(sample, "dim")
        report_missing(now, arguments.wanted, screen)
        if screen.terminal:
            screen.say("Waiting for changes. Ctrl-C to stop.")
    else:
        visible = patiently(screen, lambda: up_to(tail))
        for sample in read_on(
            screen, lambda at: _changes(database, arguments, at), lambda sample: (sample.ts, sample.id)
        ):
            if visible(sample.id):
                show(sample)
        if arguments.wanted:
            report_missing(patiently(screen, lambda: present(database, arguments.wanted)), arguments.wanted, screen)
    for sample in _chosen(new, arguments.wanted):
        show(sample)
    for sample in _chosen(follow(tail, screen), arguments.wanted):
        show(sample)
    return EXIT_OK


def _news(arguments: Namespace, screen: Screen) -> Show:
    """Return a function that shows values as the arguments say, but not those that were only renewed."""
    show, is_news = shower(arguments, screen, SYSTEM_CLOCK.now), Renewals(arguments)

    def show_news(sample: StatusSample, *styles: str) -> None:
        if is_news(sample):
            show(sample, *styles)

    return show_news


def _chosen(samples: Iterable[StatusSample], wanted: Sequence[str]) -> Iterator[StatusSample]:
    return (sample for sample in samples if is_wanted(sample.channel, sample.name, wanted))


def _changes(database: Database, arguments: Namespace, behind: PagePosition | None = None) -> Iterator[StatusSample]:
    words: Sequence[str] = arguments.wanted
    wanted = (lambda channel, name: is_wanted(channel, name, words)) if words else None
    return changes(database, channels=channels_of(words), wanted=wanted, since=arguments.since, behind=behind)
