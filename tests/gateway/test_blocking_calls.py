"""A store that hangs holds half of the places for calls about files at most: those of other stores go on."""

from __future__ import annotations

import asyncio
import threading

import pytest

from Services.Gateway.calls import BlockingCalls


class TestShares:
    """Calls with the same name share half of the places."""

    def test_others_go_on_while_one_hangs(self) -> None:
        hanging = threading.Event()
        begun: list[int] = []

        def hang() -> None:
            begun.append(1)
            hanging.wait(60)

        async def scene() -> tuple[list[str], int]:
            calls = BlockingCalls(8)
            stuck = [asyncio.ensure_future(calls.run(hang, "archive")) for _ in range(20)]
            while len(begun) < 4:
                await asyncio.sleep(0.01)
            others = [await calls.run(lambda: "done", share) for share in ("other", "", "other")]
            at_work = len(begun)
            hanging.set()
            await asyncio.gather(*stuck)
            return others, at_work

        assert asyncio.run(scene()) == (["done"] * 3, 4)
        assert len(begun) == 20

    def test_one_that_is_given_up_keeps_its_place_until_it_ends(self) -> None:
        hanging = threading.Event()

        async def scene() -> str:
            calls = BlockingCalls(2)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(calls.run(lambda: hanging.wait(60), "archive"), 0.05)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(calls.run(lambda: "too early", "archive"), 0.05)
            hanging.set()
            return await calls.run(lambda: "done", "archive")

        assert asyncio.run(scene()) == "done"

    def test_an_error_frees_the_place(self) -> None:
        def fail() -> None:
            raise ValueError("no")

        async def scene() -> str:
            calls = BlockingCalls(2)
            for _ in range(3):
                with pytest.raises(ValueError, match="no"):
                    await calls.run(fail, "archive")
            return await calls.run(lambda: "done", "archive")

        assert asyncio.run(scene()) == "done"
