"""``docs/requirements.md`` says which tests show each requirement, as the docstrings of the tests have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.requirements import MARKER, PAGE, PROJECT, Marker, WrongMarkers, markers, numbers, rewritten

TEXTS = """# Requirements

### Errors

- **000-10** The user is told
  of an error.
  - Decision: in words,
    and at once.
- **000-11** There is a log.

### Steps

- **000-12** It can be copied.
"""
FOUND = [Marker("tests/a/test_b.py::TestC", "000-10"), Marker("tests/a/test_d.py", "000-12")]
WRITTEN = """# Requirements

### Errors

- **000-10** The user is told
  of an error.
  - Decision: in words,
    and at once.
  - [tests/a/test_b.py::TestC](../tests/a/test_b.py)
- **000-11** There is a log.
  - Open: no test shows it.

### Steps

- **000-12** It can be copied.
  - [tests/a/test_d.py](../tests/a/test_d.py)

## Open

No test shows 1 of the 3 requirements:

- 000-11 There is a log.
"""


class TestTheProject:
    def test_the_page_is_up_to_date(self) -> None:
        page = PAGE.read_text("utf-8")
        assert rewritten(page, markers(PROJECT / "tests")) == page, "run ./install.sh requirements"

    @pytest.mark.parametrize("folder", ["NexusCore", "Services", "Tools", "Install", "Logger"])
    def test_the_code_names_no_requirement(self, folder: str) -> None:
        """It says what is meant in words; the number belongs to the test that shows it."""
        files = [path for path in (PROJECT / folder).rglob("*") if path.is_file() and path.suffix != ".pyc"]
        assert files
        named = [
            (path.relative_to(PROJECT).as_posix(), match[0])
            for path in files
            for match in MARKER.finditer(path.read_text("utf-8", errors="replace"))
        ]
        assert named == []


class TestThePage:
    """The lines of tests and the list of what is open are written; texts and decisions are left alone."""

    def test_the_first_time(self) -> None:
        assert rewritten(TEXTS, FOUND) == WRITTEN

    def test_what_was_written_before_is_replaced(self) -> None:
        assert rewritten(WRITTEN, FOUND) == WRITTEN
        assert rewritten(rewritten(WRITTEN, [Marker("tests/test_x.py", "000-11")]), FOUND) == WRITTEN

    def test_the_list_has_the_whole_text(self) -> None:
        assert rewritten(TEXTS, []).endswith("- 000-10 The user is told of an error.\n- 000-11 There is a log.\n"
                                             "- 000-12 It can be copied.\n")  # fmt: skip

    def test_nothing_is_open(self) -> None:
        page = rewritten(TEXTS, [Marker("tests/test_x.py", f"000-{item}") for item in (10, 11, 12)])
        assert "Open:" not in page
        assert page.endswith("\n## Open\n\nEach of the 3 requirements is shown by a test.\n")

    def test_a_marker_of_a_requirement_that_does_not_exist(self) -> None:
        with pytest.raises(WrongMarkers, match=r"tests/test_x.py::test_y names 000-13, which is not in the page"):
            rewritten(TEXTS, [*FOUND, Marker("tests/test_x.py::test_y", "000-13")])

    def test_a_requirement_that_stands_twice(self) -> None:
        with pytest.raises(WrongMarkers, match="000-11 stands 2 times"):
            rewritten(f"{TEXTS}- **000-11** Again.\n", FOUND)


class TestMarkers:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("no number, 2026-11-20, 1003-25", []),
            ("003-25: copying refuses.", ["003-25"]),
            ("It is copied (003-25).", ["003-25"]),
            ("000-21..23", ["000-21", "000-22", "000-23"]),
            ("000-08..000-10", ["000-08", "000-09", "000-10"]),
            ("001-20, 21: two", ["001-20", "001-21"]),
            ("001-20, 002-21", ["001-20", "002-21"]),
            ("000-04..06, 41, 001-02, 04", ["000-04", "000-05", "000-06", "000-41", "001-02", "001-04"]),
            ("001-20, 001-20", ["001-20"]),
            ("000-7 and 000-123", ["000-7", "000-123"]),
        ],
    )
    def test_lists_and_ranges_are_written_out(self, text: str, found: list[str]) -> None:
        """One that is mistyped is found too, so that it can be refused."""
        assert numbers(text) == found

    def test_of_module_class_and_test(self, tmp_path: Path) -> None:
        """The narrowest one that names a requirement stands for all around it."""
        tests = tmp_path / "tests"
        (tests / "b").mkdir(parents=True)
        (tests / "b/test_one.py").write_text(
            '"""000-01, 02, 03."""\n'
            'def helper():\n    """000-09."""\n'
            'class TestIt:\n    """000-02, 03."""\n'
            '    def test_a(self):\n        """000-03."""\n'
            '    def test_b(self):\n        """000-03."""\n'
            "# 000-08\n"
            'async def test_c():\n    """000-04."""\n'
        )
        (tests / "b/helpers.py").write_text('"""000-05."""\n')
        (tests / "test_two.py").write_text('def test_d():\n    """000-01."""\n')
        assert markers(tests) == [
            Marker("tests/b/test_one.py", "000-01"),
            Marker("tests/b/test_one.py::TestIt", "000-02"),
            Marker("tests/b/test_one.py::TestIt::test_a", "000-03"),
            Marker("tests/b/test_one.py::TestIt::test_b", "000-03"),
            Marker("tests/b/test_one.py::test_c", "000-04"),
            Marker("tests/test_two.py::test_d", "000-01"),
        ]
