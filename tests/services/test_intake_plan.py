"""A plan says for each file where it goes or why it stays; it is the same for a dry run and for the deed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from Services.Intake.moving import FilingInterrupted
from Services.Intake.planning import InboxFacts, Outcome, collisions, plan
from Services.Intake.rules.rule import Conflict, FilingRule, RuleRefused, check
from Services.Intake.rules.shipped import MICROSCOPE, OVERWATCH
from tests.services.filing import FACTS, RUN, RUN_FILED, NoTargets, aims, found, planned

LONG = bool(os.environ.get("NEXUSCORE_TEST_LONG"))
EXAMPLES = 3000 if LONG else 150


class TestOverwatch:
    """The rule that NexusCore comes with files histograms as seed 004 says."""

    def test_the_example(self) -> None:
        """004-23, 004-24, 004-28, 004-31: run, system and time come from the name."""
        entries = planned([RUN, "TPChists_300005_b_2015_11_24_18_05_10.root"])
        assert aims(entries) == {
            RUN: RUN_FILED,
            "TPChists_300005_b_2015_11_24_18_05_10.root": "Run300005/TPC/TPChists.2015_11_24_18_05_10.root",
        }
        note = entries[RUN].note
        assert note is not None
        assert (note.parts, note.text) == (("Run300005", "runInfo.yaml"), "{hltMode: 'B'}\n")

    def test_a_replay(self) -> None:
        """004-29: replays are kept apart."""
        entries = planned(["EMChistos_1_E_2015_11_24_18_05_10.root", "EMChistos_2_e_2015_11_24_18_05_10.root"])
        assert set(aims(entries).values()) == {
            "ReplayData/Run1/EMC/EMChists.2015_11_24_18_05_10.root",
            "ReplayData/Run2/EMC/EMChists.2015_11_24_18_05_10.root",
        }
        note = entries["EMChistos_1_E_2015_11_24_18_05_10.root"].note
        assert note is not None
        assert note.parts == ("ReplayData", "Run1", "runInfo.yaml")

    @pytest.mark.parametrize(
        "name", ["EMChists_1.root", "EMC.root", "EMChists_1_B_x.root.tmp", "xEMCx.rootfoo", "a_b_c"]
    )
    def test_other_names_stay(self, name: str) -> None:
        """004-26: a name without the parts is no file of a receiver."""
        assert planned([name])[name].outcome is Outcome.UNMATCHED

    def test_two_names_for_one_target_stay_both(self) -> None:
        """The reference replaces the first file by the second one."""
        two = ["EMChistos_1_B_2015_11_24_18_05_10.root", "EMChists_1_C_2015_11_24_18_05_10.root"]
        entries = planned(two)
        assert [entries[name].outcome for name in two] == [Outcome.REFUSED] * 2
        assert "2 files have the same target" in entries[two[0]].reason
        assert len(collisions(entries.values())) == 2

    def test_a_target_that_exists(self) -> None:
        entry = planned([RUN], taken={RUN_FILED: "other"})[RUN]
        assert (entry.outcome, entry.collision) == (Outcome.REFUSED, True)
        assert entry.reason == f"its target is {RUN_FILED}, but a file of that name is there"

    def test_a_file_where_a_folder_is_needed(self) -> None:
        entry = planned([RUN], taken={"Run300005": "x"})[RUN]
        assert entry.outcome is Outcome.REFUSED
        assert "Run300005 is not a folder" in entry.reason

    def test_a_run_that_leads_out(self) -> None:
        entry = planned(["EMChists_.._B_x.root"])["EMChists_.._B_x.root"]
        assert "/".join(entry.parts) == "Run../EMC/EMChists.x.root"
        assert entry.target == Path("/drop/Run../EMC/EMChists.x.root")


class TestMicroscope:
    """The second rule files data by instrument, user and day."""

    FACTS = InboxFacts("titan", Path("/drop"), Path("/data"), "FEI-Titan-TEM", UTC, lambda ts: "FAC\\o'brien")

    def test_user_and_day(self) -> None:
        entries = planned(["sample 1/a.dm4", "b.tif"], MICROSCOPE, facts=self.FACTS)
        assert aims(entries) == {
            "sample 1/a.dm4": "FEI-Titan-TEM/FAC_o_brien/2023-11-14/sample 1/a.dm4",
            "b.tif": "FEI-Titan-TEM/FAC_o_brien/2023-11-14/b.tif",
        }
        assert entries["b.tif"].root == Path("/data")

    def test_nobody_was_there(self) -> None:
        """It stays, with the reason, unless there is a folder for such files."""
        nobody = replace(self.FACTS, user_at=lambda ts: None)
        entry = planned(["a.dm4"], MICROSCOPE, facts=nobody)["a.dm4"]
        assert entry.outcome is Outcome.REFUSED
        assert "no session or reservation of FEI-Titan-TEM covers" in entry.reason
        entries = planned(["a.dm4"], replace(MICROSCOPE, unknown_user="unknown"), facts=nobody)
        assert aims(entries) == {"a.dm4": "FEI-Titan-TEM/unknown/2023-11-14/a.dm4"}

    @pytest.mark.parametrize("user", ["..", ".", "", "a/../../b", "\x00", "-rf", "\u202ex", "a\nb"])
    def test_a_user_never_leads_elsewhere(self, user: str) -> None:
        facts = replace(self.FACTS, user_at=lambda ts: user)
        (path,) = aims(planned(["a.dm4"], MICROSCOPE, facts=facts)).values()
        parts = path.split("/")
        assert (len(parts), parts[0], parts[2:]) == (4, "FEI-Titan-TEM", ["2023-11-14", "a.dm4"])
        assert parts[1].strip(".") and not parts[1].startswith("-") and parts[1].isprintable()


class TestConflicts:
    """Each rule says what happens to files that would get the same name."""

    RULE = FilingRule("flat", path="all/{name}")

    def test_keep_both(self) -> None:
        rule = replace(self.RULE, conflict=Conflict.KEEP_BOTH)
        entries = planned(["x/a.dm4", "y/a.dm4", "z/a.dm4", "z/a (2).dm4"], rule, taken={"all/a.dm4": "?"})
        assert aims(entries) == {
            "x/a.dm4": "all/a (3).dm4",
            "y/a.dm4": "all/a (4).dm4",
            "z/a.dm4": "all/a (5).dm4",
            "z/a (2).dm4": "all/a (2).dm4",
        }, "a number is not one that another file has by its own name"

    def test_the_same_content_is_done(self) -> None:
        rule = replace(self.RULE, conflict=Conflict.SAME_IS_DONE)
        contents = {"x/a": "1", "y/a": "1", "z/a": "2", "x/b": "3", "y/b": "4"}
        entries = planned(list(contents), rule, taken={"all/b": "3"}, contents=contents)
        assert {path: entry.outcome for path, entry in entries.items()} == {
            "x/a": Outcome.FILE,
            "y/a": Outcome.SAME,
            "z/a": Outcome.REFUSED,
            "x/b": Outcome.SAME,
            "y/b": Outcome.REFUSED,
        }

    def test_over_what_it_has_filed(self) -> None:
        """A rule that is run over its own tree changes nothing."""
        rule = replace(self.RULE, path="{folder}/{name}", conflict=Conflict.KEEP_BOTH)
        entries = planned(["a", "b/c"], rule)
        assert {entry.outcome for entry in entries.values()} == {Outcome.IN_PLACE}


def test_it_can_be_given_up() -> None:
    """At each file, before it is aimed and before it is decided: a plan of very many files takes long."""
    given_up = 0
    for steps in range(100):
        left = iter(range(steps))

        def go_on(left: Iterator[int] = left) -> None:
            if next(left, None) is None:
                raise FilingInterrupted

        try:
            entries = plan(
                [found(f"EMChists_{n}_B_t.root") for n in range(3)], [OVERWATCH], FACTS, NoTargets(), go_on=go_on
            )
        except FilingInterrupted:
            given_up += 1
        else:
            assert len(entries) == 3
            break
    assert given_up == 6


class TestChecks:
    """A rule that cannot be used is refused with the parameter and what is wrong with it."""

    @pytest.mark.parametrize(
        ("parameter", "value", "sentence"),
        [
            ("parse", "(", "rules.r.parse is '(': this is not a regular expression"),
            ("path", "", "rules.r.path is '': it is empty"),
            ("path", "/etc/{name}", "it begins with a slash"),
            ("path", "../{name}", "'..' is not the name of a folder"),
            ("path", "a//{name}", "it has an empty name"),
            ("path", "{run}/{name}", "there is no field '{run}'; there are date, day"),
            ("path", "{name!r}", "can be followed by :upper or :lower"),
            ("path", "{name.__class__}", "there is no field '{name.__class__}'"),
            ("path", "{name", "its braces cannot be read"),
            ("path", "x{folder}/{name}", "{folder} has to stand alone"),
            ("path", "{name}/{folder}", "the file would have no name"),
            ("conflict", "overwrite", "use one of refuse, keep_both, same_is_done"),
            ("ready", "soon", "use one of quiet, marker, lock, rename"),
            ("divert", "mode: E", "does not look like mode=E: ReplayData"),
            ("divert", "mode=E: x", "there is no group 'mode'"),
            ("note_path", "{x}", "rules.r.note_path is '{x}'"),
            ("max_size", 3, "it is smaller than min_size, 5"),
        ],
    )
    def test_it_is_named(self, parameter: str, value: object, sentence: str) -> None:
        rule = FilingRule("r", min_size=5)
        with pytest.raises(RuleRefused) as refused:
            check(replace(rule, **{parameter: value}))  # type: ignore[arg-type]
        assert sentence in str(refused.value)

    @pytest.mark.parametrize("name", ["", "{name}", "x/{name}", "done", "{user}"])
    def test_a_marker_is_another_file(self, name: str) -> None:
        with pytest.raises(RuleRefused, match="ready_name"):
            check(FilingRule("r", ready="marker", ready_name=name))

    def test_the_shipped_ones_are_good(self) -> None:
        for rule in (OVERWATCH, MICROSCOPE):
            check(rule)


# -- a small model -----------------------------------------------------------------------------------------------------

NAMES = st.one_of(
    st.builds(
        "{}hist{}_{}_{}_{}.root".format,
        st.sampled_from(["EMC", "HLT", "TPC", "emc"]),
        st.sampled_from(["s", "os"]),
        st.sampled_from(["1", "2", ".."]),
        st.sampled_from(["B", "C", "E", "e"]),
        st.sampled_from(["2015_11_24_18_05_10", "2015_11_24_18_05_11", "x.part"]),
    ),
    st.sampled_from(["Run1", "Run2", "ReplayData", "EMC.root", "notes.txt", "EMChists_1.root"]),
    st.text(alphabet="EMChists_1B.root-\n\u202e\udce9é/", min_size=1, max_size=12).filter(
        lambda name: "/" not in name and name not in (".", "..")
    ),
)


def model(names: set[str]) -> dict[str, str]:
    """Return where each file of an inbox ends, by the words of the seed: split at underscores, and nothing replaced."""
    targets: dict[str, str] = {}
    for name in names:
        parts = name.removesuffix(".root").split("_", 3)
        system = parts[0].partition("hist")[0]
        tail = parts[0].removeprefix(f"{system}hist")
        good = name.endswith(".root") and len(parts) == 4 and parts[0] != system and all(parts)
        good = good and system[:1].isalpha() and system.isascii() and system.isalnum() and system == system.upper()
        good = good and (not tail or (tail.isascii() and tail.isalpha() and tail.islower())) and name.isprintable()
        good = good and not set(parts[1]) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-")
        good = good and parts[2].isascii() and parts[2].isalnum()
        if good:
            replay = "ReplayData/" if parts[2].upper() == "E" else ""
            targets[name] = f"{replay}Run{parts[1]}/{system}/{system}hists.{parts[3]}.root"
    wanted = list(targets.values())
    return {
        name: target
        for name, target in targets.items()
        if wanted.count(target) == 1 and not any(target.startswith(f"{other}/") for other in names)
    }


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(st.sets(NAMES, max_size=30))
def test_any_folder_is_filed_as_the_model_says(names: set[str]) -> None:
    """What the plan does with random names is what a few lines of plain code say; every other file has a reason."""
    entries = planned(sorted(names), taken=dict.fromkeys(names, "file"))
    assert aims(entries) == model(names)
    for entry in entries.values():
        assert entry.outcome is Outcome.FILE or entry.reason
        assert entry.outcome is not Outcome.FILE or entry.target.is_relative_to("/drop")
        assert ".." not in entry.parts
