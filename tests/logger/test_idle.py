"""How long nobody has touched mouse or keyboard."""

from __future__ import annotations

import pytest

from Logger.idle import idle_seconds
from tests.logger.facility import until
from tests.logger.screen import Screen


def test_it_counts_from_the_last_input(screen: Screen, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", screen.display)
    before = idle_seconds()
    if before is None:
        pytest.skip("the X server of this machine has no extension MIT-SCREEN-SAVER")
    until(lambda: (idle_seconds() or 0) > 0.3, "a moment without input")
    screen.xdotool("mousemove", 10, 10, "mousemove", 20, 20)
    after = idle_seconds()
    assert after is not None and after < 0.3


def test_without_a_screen_it_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":987")
    assert idle_seconds() is None
    monkeypatch.delenv("DISPLAY")
    assert idle_seconds() is None
