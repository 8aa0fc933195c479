"""HyperSpy's tree is given what a reader's mapping asks for, and nothing else."""

from __future__ import annotations

from Services.Builder.extraction.signals.mapping import _asked_for, _branches


def test_only_branches_that_are_asked_for_are_kept() -> None:
    given = {"A": {"b": 1, "c": {"d": 2}}, "B": {"b": 3}, "C": 4}
    assert _asked_for(given, _branches(["A.b", "C"])) == {"A": {"b": 1}, "C": 4}


def test_a_whole_branch_goes_before_a_part_of_it() -> None:
    given = {"A": {"b": 1, "c": 2}}
    assert _asked_for(given, _branches(["A.b", "A"])) == _asked_for(given, _branches(["A", "A.b"])) == given


def test_a_name_that_hyperspy_changes_is_kept() -> None:
    given = {"Beam (kV)": {"x y": 1}, "plain": 2}
    assert _asked_for(given, _branches(["Beam_kV.x_y"])) == {"Beam (kV)": {"x y": 1}}
