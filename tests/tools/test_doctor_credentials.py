"""Doctor on credentials: which a calendar or destination would get, which are missing, which kinds do not exist."""

from __future__ import annotations

from pathlib import Path

import pytest

from NexusCore.config.store import Edit
from NexusCore.config.values import Limits
from NexusCore.storage import Database
from tests.tools.conftest import configure
from tests.tools.test_doctor import only, reported, tool


class TestCredentials:
    """001-07: what calendars and destinations ask for is named, never shown."""

    @pytest.fixture
    def configured(self, embedded: Database) -> Database:
        configure(
            embedded,
            Edit("Instruments.A.harvester", value="ical"),
            Edit("Instruments.A.api_url", value="https://calendar.example.org/a.ics"),
            Edit("Instruments.B.harvester", value="nemo"),
            Edit("Instruments.B.api_url", value="https://nemo.example.org/api"),
            Edit("Instruments.C.harvester", value="ical"),
            Edit("Instruments.C.api_url", value="/srv/c.ics"),
            Edit("Services.Uploader.destinations", value="directory, cdcs"),
        )
        return embedded

    def test_missing_ones_are_named(self, configured: Database) -> None:
        found = reported("Credentials")
        assert only(found, "For the calendars (ical) of A, no credentials are set; that is right if")[0] == "note"
        grade, remedy = only(found, "For the calendars (nemo) of B, no credentials are set.")
        assert (grade, "NEXUSCORE_NEMO_TOKEN" in remedy) == ("problem", True)
        assert only(found, "For the destination cdcs, no credentials are set.")[0] == "problem"
        assert len(found) == 3

    def test_a_destination_without_an_address(self, configured: Database) -> None:
        """The remedy is a command that can be typed."""
        configure(configured, Edit("Services.Uploader.cdcs.url", value=""))
        grade, remedy = only(reported("Credentials"), "The destination cdcs has no address")
        assert (grade, remedy) == (
            "problem",
            "Set it: ConfigTool Services.Uploader.cdcs.url=https://cdcs.example.org",
        )
        configure(configured, Edit("Services.Uploader.cdcs.url", value="https://cdcs.example.org"))
        assert not any("has no address" in sentence for _, sentence, _ in reported("Credentials"))

    def test_present_ones_are_named_with_their_place(self, configured: Database, tmp_path: Path) -> None:
        configure(configured, Edit("Services.Uploader.cdcs.token", value="hunter2", limits=Limits(secret=True)))
        defaults = tmp_path / "defaults"
        defaults.write_text('NEXUSCORE_NEMO_TOKEN="hunter4"\nNEXUSCORE_CDCS_TOKEN=\n')
        done = tool("--json", nexusLIMS_user="jane", nexusLIMS_pass="hunter3", NEXUSCORE_DEFAULTS=str(defaults))
        found = [one["sentence"] for one in done.objects if one["group"] == "Credentials"]
        assert found == [
            "For the calendars (ical) of A, nexusLIMS_user and nexusLIMS_pass would be used (set in this shell).",
            f"For the calendars (nemo) of B, NEXUSCORE_NEMO_TOKEN would be used (set for the services, in {defaults}).",
            "For the destination cdcs, the configuration has Services.Uploader.cdcs.token.",
        ]
        assert "hunter" not in done.out

    def test_kinds_that_do_not_exist_are_named_with_what_was_meant(self, configured: Database) -> None:
        configure(
            configured,
            Edit("Instruments.A.harvester", value="icall"),
            Edit("Services.Uploader.destinations", value="directory, bogus"),
        )
        found = reported("Credentials")
        grade, remedy = only(
            found, "Instruments.A.harvester is 'icall', which is not a kind of calendar. Did you mean 'ical'?"
        )
        assert (grade, "Kinds: caldav, ical, nemo, sharepoint." in remedy) == ("problem", True)
        assert remedy.endswith("Correct it: ConfigTool Instruments.A.harvester=ical")
        grade, remedy = only(found, "Services.Uploader.destinations has 'bogus', which is not a destination.")
        assert (grade, remedy.rpartition(": ")[2]) == ("problem", "ConfigTool Services.Uploader.destinations=directory")
        assert not [sentence for _, sentence, _ in found if sentence.startswith("For the destination bogus")]

    def test_of_one_of_several_servers(self, configured: Database) -> None:
        done = tool("--json", NEXUSCORE_NEMO_EAST_TOKEN="hunter5")
        assert "NEXUSCORE_NEMO_EAST_TOKEN would be used" in done.out
        assert "hunter" not in done.out

    def test_half_a_login_is_a_problem_where_it_is_used(self, embedded: Database) -> None:
        found = reported("Credentials", NEXUSCORE_ICAL_USER="jane")
        assert only(found, "but NEXUSCORE_ICAL_PASSWORD is not, so neither is used.")[0] == "note"
        configure(
            embedded,
            Edit("Instruments.A.harvester", value="ical"),
            Edit("Instruments.A.api_url", value="https://x.example.org/a.ics"),
        )
        found = reported("Credentials", NEXUSCORE_ICAL_USER="jane")
        assert only(found, "but NEXUSCORE_ICAL_PASSWORD is not, so neither is used.")[0] == "problem"
