"""Options of Doctor that make no sense together are explained."""

from __future__ import annotations

import pytest

from tests.tools.programs import run


class TestUsage:
    """Options that make no sense together are told; exit code 2."""

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (("--show",), "--show needs --journals."),
            (("--repair",), "--repair needs --journals or --rows."),
            (("--journals", "--show"), "--show needs the name of a journal: --journals NAME --show."),
            (("--journals", "x", "--show", "--repair"), "--repair cannot be combined with --show."),
            (("--journals", "--bundle"), "--journals cannot be combined with --bundle."),
            (("--force",), "--force needs --bundle."),
            (("--journal",), "Did you mean '--journals'?"),
        ],
    )
    def test_each_mistake_is_explained(self, words: tuple[str, ...], sentence: str) -> None:
        done = run("Doctor", *words)
        assert (done.code, done.out, sentence in done.err) == (2, "", True)
