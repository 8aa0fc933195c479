"""Showing values: what is now, what has changed, and each change as it comes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence

from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import EXIT_FAILURE, EXIT_OK
from NexusCore.status.store import StatusSample, arriving, changes, latest
from NexusCore.storage import Database
from NexusCore.tail import Tail
from Tools.following import follow, patiently, read_on, up_to
from Tools.tailstatus.showing import is_wanted, no_match, shower, table, tell_missing
from Tools.terminal import Screen


def show_now(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show what is now."""
    samples = latest(database)
    chosen = list(_chosen(samples, arguments.wanted))
    if not chosen:
        screen.fail(no_match(samples, arguments.wanted))
        return EXIT_FAILURE
    if arguments.json or arguments.csv:
        show = shower(arguments, screen, SYSTEM_CLOCK.now)
        for one in chosen:
            show(one)
    else:
        table(chosen, SYSTEM_CLOCK.now(), screen)
    tell_missing(samples, arguments.wanted, screen)
    return EXIT_OK


def show_changes(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show what has changed since a time."""
    show = shower(arguments, screen, SYSTEM_CLOCK.now)
    shown = False
    for one in changes(database, wanted=_wanted(arguments.wanted), since=arguments.since):
        show(one)
        shown = True
    if shown and len(arguments.wanted) < 2:
        return EXIT_OK
    samples = latest(database)
    if shown:
        tell_missing(samples, arguments.wanted, screen)
        return EXIT_OK
    known = next(_chosen(samples, arguments.wanted), None) is not None
    screen.fail("Nothing has changed since then." if known else no_match(samples, arguments.wanted))
    return EXIT_FAILURE


def show_and_follow(database: Database, arguments: Namespace, screen: Screen) -> int:
    """Show what is now, or has changed since a time, and go on with each change as it comes; none is left out."""
    screen.live()
    tail = Tail(database, arriving(), SYSTEM_CLOCK)
    show = shower(arguments, screen, SYSTEM_CLOCK.now)
    new: list[StatusSample] = []
    if arguments.since is None:

        def begin() -> tuple[list[StatusSample], list[StatusSample]]:
            tail.begin()
            return latest(database), tail.poll()

        now, new = patiently(screen, begin)
        # Of what changed meanwhile, the changes are shown; the value that is now is among them.
        changed = {(one.channel, one.name) for one in new}
        present = [one for one in now if (one.channel, one.name) not in changed]
        for one in sorted(_chosen(present, arguments.wanted), key=lambda one: one.ts):
            show(one, "dim")
        tell_missing(now, arguments.wanted, screen)
        if screen.terminal:
            screen.say("Waiting for changes; Ctrl-C ends.")
    else:
        visible = patiently(screen, lambda: up_to(tail))
        wanted = _wanted(arguments.wanted)
        for one in read_on(
            screen,
            lambda at: changes(database, wanted=wanted, since=arguments.since, behind=at),
            lambda one: (one.ts, one.id),
        ):
            if visible(one.id):
                show(one)
        if arguments.wanted:
            tell_missing(patiently(screen, lambda: latest(database)), arguments.wanted, screen)
    for one in _chosen(new, arguments.wanted):
        show(one)
    for one in _chosen(follow(tail, screen), arguments.wanted):
        show(one)
    return EXIT_OK


def _chosen(samples: Iterable[StatusSample], wanted: Sequence[str]) -> Iterator[StatusSample]:
    return (one for one in samples if is_wanted(one.channel, one.name, wanted))


def _wanted(words: Sequence[str]) -> Callable[[str, str], bool] | None:
    return (lambda channel, name: is_wanted(channel, name, words)) if words else None
