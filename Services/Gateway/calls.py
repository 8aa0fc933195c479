"""Calls that wait for the database, on threads that hold up neither the web server nor its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from typing import TypeVar

from NexusCore.threads import start_thread

MOST_AT_ONCE = 16
"""Calls at a time; further ones wait. Each has a connection to the database."""
T = TypeVar("T")


class BlockingCalls:
    """Runs functions that block on threads.

    A call whose request was given up ends on its own: a thread cannot be stopped. Its place is free only then.

    Parameters
    ----------
    most
        Calls at a time; further ones wait.
    """

    def __init__(self, most: int = MOST_AT_ONCE) -> None:
        self._places = asyncio.Semaphore(most)
        self._share = max(1, most // 2)
        self._shares: dict[str, asyncio.Semaphore] = {}

    async def run(self, work: Callable[[], T], share: str = "") -> T:
        """Return what `work` returns, or raise what it raises.

        Parameters
        ----------
        work
            The call.
        share
            What it may wait for: calls with the same name have half of the places at most, so that the others go on
            while it hangs. Empty for no limit.
        """
        own = self._shares.setdefault(share, asyncio.Semaphore(self._share)) if share else asyncio.Semaphore()
        await own.acquire()
        try:
            await self._places.acquire()
        except BaseException:
            own.release()
            raise
        loop = asyncio.get_running_loop()
        result: asyncio.Future[T] = loop.create_future()

        def take_over(done: Future[T]) -> None:
            self._places.release()
            own.release()
            if result.done():  # the request was given up
                return
            error = done.exception()
            if error is not None:
                result.set_exception(error)
            else:
                result.set_result(done.result())

        def ended(done: Future[T]) -> None:
            with suppress(RuntimeError):  # the web server has ended meanwhile
                loop.call_soon_threadsafe(take_over, done)

        start_thread(work, "request").add_done_callback(ended)
        return await result
