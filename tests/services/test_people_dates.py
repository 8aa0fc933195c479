"""Days and times as people and their PCs write them: read whole, with both readings where the order is open."""

from __future__ import annotations

import os
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from Services.Builder.extraction.extractors.acquisition_time import resolved
from Services.Builder.extraction.extractors.people_dates import decided, order_in, written, zone_of
from Services.Builder.extraction.extractors.rosettasciio.acquisition import acquired_by
from Services.Builder.model import Quantity

JUNE = datetime.fromisoformat("2016-06-05T14:05:06")
MAY = datetime.fromisoformat("2016-05-06T14:05:06")


class TestTheOrderOfADay:
    """001-39: PCs write days as their language has them; the day is taken where that is clear."""

    @pytest.mark.parametrize(
        "text", ["5.6.2016 14:05:06", "05.06.16 14:05:06", "5. 6. 2016 14:05:06", "5.6.2016 2:05:06 PM"]
    )
    def test_with_dots_the_day_is_first(self, text: str) -> None:
        assert written(text).moment == JUNE

    @pytest.mark.parametrize("text", ["5/6/2016 14:05:06", "05-06-2016 14:05:06", "14:05:06 5/6/16"])
    def test_otherwise_it_is_open(self, text: str) -> None:
        found = written(text)
        assert (found.moment, found.open) == (None, True)
        assert set(found.days.values()) == {JUNE.date(), MAY.date()}
        assert f"'{text}' may be 6 May 2016 or 5 June 2016" in found.reason

    @pytest.mark.parametrize("text", ["5/6/2016 14:05:06", "05-06-2016 14:05:06"])
    def test_another_clock_decides(self, text: str) -> None:
        assert decided(written(text), near=datetime(2016, 6, 6, 2, 5, tzinfo=UTC)).moment == JUNE
        assert decided(written(text), near=datetime(2020, 1, 1, tzinfo=UTC)).moment is None, "it is not about this day"
        assert decided(written("5/6/2016 14:05"), near=datetime(2016, 5, 6, tzinfo=UTC)).doubt == ""

    def test_the_files_language_decides(self) -> None:
        assert decided(written("5/6/2016 14:05:06"), order="month").moment == MAY
        assert decided(written("5/6/2016 14:05:06"), order="day").moment == JUNE
        assert decided(written("5/6/2016 14:05:06"), order="year").moment is None

    def test_the_time_of_saving_decides_weakly(self) -> None:
        found = decided(written("5/6/2016 14:05:06"), saved=datetime(2016, 6, 5, 12, tzinfo=UTC))
        assert (found.moment, found.open) == (JUNE, False)
        assert (
            found.doubt
            == found.reason
            == ("The order of day and month in '5/6/2016 14:05:06' is known by the time the file was saved only.")
        )

    def test_the_same_day_in_both_orders_is_clear(self) -> None:
        assert written("6/6/2016 14:05").moment == datetime(2016, 6, 6, 14, 5)  # noqa: DTZ001 - no zone is written

    def test_a_day_after_the_twelfth_is_clear(self) -> None:
        assert written("7/20/2015 6:48:25 PM").moment == datetime.fromisoformat("2015-07-20T18:48:25")
        assert written("20/07/2015 18:48:25").moment == datetime.fromisoformat("2015-07-20T18:48:25")

    def test_other_entries_of_the_file_tell_it(self) -> None:
        assert order_in({"a": {"Date": "27/06/2022"}, "b": {"Created": "5/6/2022"}}) == "day"
        assert order_in({"a": {"DateTime": "06/27/2022 3:00 PM"}}) == "month"
        assert order_in({"a": {"Date": "27/06/2022"}, "b": {"Date": "06/27/2022"}}) is None, "they contradict"
        assert order_in({"a": {"Date": "2022-06-27"}, "b": {"Comment": "27/06/2022"}}) is None
        assert order_in("27/06/2022") is None


class TestWaysToWrite:
    """001-39: what a person reads as a time is read as one."""

    @pytest.mark.parametrize(
        "text",
        [
            "27.06.2022 16:36:48",
            "27. 6. 2022, 16:36:48",
            "06/27/2022 4:36:48 PM",
            "06/27/2022 04:36:48 p.m.",
            "4:36:48\u202fPM 6/27/22",
            "\u200e6/\u200e27/\u200e2022 16:36:48",
            "2022/06/27 16:36:48",
            "2022. 6. 27. 16:36:48",
            "2022:06:27 16:36:48",
            "2022-06-27T16:36:48",
            "2022-06-27#16:36:48",
            "20220627T163648",
            "20220627 163648",
            "20220627163648",
            "27-Jun-22 16:36:48",
            "27-JUN-2022  16:36:48",
            "Jun 27 2022 16:36:48",
            "June 27th, 2022 16:36:48",
            "Monday, June 27, 2022 4:36:48 PM",
            "Mon Jun 27 16:36:48 2022",
            "27. Juni 2022 16:36:48",
            "Montag, 27. Juni 2022 16:36:48",
            "lundi 27 juin 2022 à 16h36m48s",
            "27 de junio de 2022, 4:36:48 p. m.",
            "lunedì 27 giugno 2022 16:36:48",
            "2022年6月27日 下午4:36:48",
            "27/06/'22 16:36:48",
            "27.06.2022 16.36.48",
        ],
    )
    def test_one_moment(self, text: str) -> None:
        assert written(text).moment == datetime.fromisoformat("2022-06-27T16:36:48")

    @pytest.mark.parametrize(
        ("text", "iso"),
        [
            ("2022-06-27 16:36:48.123", "2022-06-27T16:36:48.123000"),
            ("2022-06-27 16:36:48,5", "2022-06-27T16:36:48.500000"),
            ("2022-06-27T16:36:48.123456789+02:00", "2022-06-27T16:36:48.123456+02:00"),
            ("2022-06-27T16:36:48Z", "2022-06-27T16:36:48+00:00"),
            ("2022-06-27 16:36:48 -0500", "2022-06-27T16:36:48-05:00"),
            ("27.06.2022 16:36:48 UTC+2", "2022-06-27T16:36:48+02:00"),
            ("27.06.2022 16:36:48 CEST", "2022-06-27T16:36:48+02:00"),
            ("27.06.2022 16:36:48 (MESZ)", "2022-06-27T16:36:48+02:00"),
            ("Mon Jun 27 16:36:48 EDT 2022", "2022-06-27T16:36:48-04:00"),
            ("2022-06-27 16:36:48 Europe/Vienna", "2022-06-27T16:36:48+02:00"),
            ("6/27/2022 12:00:01 AM", "2022-06-27T00:00:01"),
            ("6/27/2022 12:00:01 PM", "2022-06-27T12:00:01"),
            ("27-Jun-99 16:36", "1999-06-27T16:36:00"),
        ],
    )
    def test_fractions_zones_and_halves(self, text: str, iso: str) -> None:
        assert written(text).moment == datetime.fromisoformat(iso)

    def test_day_and_time_apart(self) -> None:
        assert written("06/27/2022", "04:36:48 PM").moment == datetime.fromisoformat("2022-06-27T16:36:48")
        assert written("14.05.06").day == date(2006, 5, 14)
        assert written(None, "16:36:48").text == ""

    @pytest.mark.parametrize("text", ["CST", "IST", "Berlin", "+99:00", "", "Mars/Olympus"])
    def test_an_unknown_zone_is_none(self, text: str) -> None:
        assert zone_of(text) is None

    @pytest.mark.parametrize(
        "text",
        [
            "31.2.2016 14:05:06", "5.13.2016 14:05:06", "Sunday", "", "None None", "0000:00:00 00:00:00", "1.2.3",
            "27.06.2022 25:00:00", "6/27/2022 13:05 AM", "10.0.5.2022", "version 2.4.2016", "27 Juno 2022", "20221327",
            "2022-13-27", "16:36:48", "27.06.2022 and 28.06.2022", "-5.6.2016",
        ],
    )  # fmt: skip
    def test_what_is_no_day_is_none(self, text: str) -> None:
        assert (written(text).moment, written(text).day, written(text).open) == (None, None, False)

    @given(st.text(max_size=120))
    def test_no_text_is_too_odd(self, text: str) -> None:
        found = written(text)
        assert found.moment is None or isinstance(found.moment, datetime)
        assert found.open == (found.day is None and bool(found.days))

    @given(st.from_regex(r"\A['0-9./: ,TZ+-]{0,24}(AM|PM|CEST|Jun| )?[0-9:]{0,8}\Z"))
    def test_nor_anything_like_a_date(self, text: str) -> None:
        found = decided(written(text), near=JUNE, saved=MAY)
        assert set(map(type, found.days.values())) <= {date}

    @given(st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2079, 12, 31)))  # noqa: DTZ001
    def test_every_moment_comes_back(self, moment: datetime) -> None:
        moment = moment.replace(microsecond=0)
        for form in ("%d.%m.%Y %H:%M:%S", "%d-%b-%y %H:%M:%S", "%Y/%m/%d %I:%M:%S %p", "%B %d, %Y %H:%M:%S", "%c"):
            assert written(moment.strftime(form)).moment == moment
        for form, order in (("%m/%d/%Y %I:%M:%S %p", "month"), ("%d/%m/%y %H:%M:%S", "day")):
            found = written(moment.strftime(form))
            assert decided(found, order).moment == moment  # type: ignore[arg-type]
            assert found.moment in (moment, None), "never another one"


class TestAFilesTime:
    """001-39: the text of the file decides, not the reader's guess."""

    def test_the_reader_may_know_the_zone(self, tmp_path: Path) -> None:
        by_reader = JUNE.replace(tzinfo=UTC)
        assert resolved(written("5.6.2016 14:05:06"), {}, tmp_path / "x", by_reader).moment == by_reader
        assert resolved(written("5.6.2016 14:05:07"), {}, tmp_path / "x", by_reader).moment == JUNE + timedelta(
            seconds=1
        )

    def test_a_day_without_a_time(self, tmp_path: Path) -> None:
        found = resolved(written("5.6.2016"), {}, tmp_path / "x")
        assert (found.moment, found.shown) == (None, Quantity("5.6.2016"))
        assert resolved(written("5.6.2016"), {}, tmp_path / "x", JUNE).moment == JUNE

    def test_when_it_was_saved_is_weak_evidence(self, tmp_path: Path) -> None:
        (tmp_path / "a").write_bytes(b"")
        assert resolved(written("5/6/2016 14:05:06"), {}, tmp_path / "a").moment is None
        os.utime(tmp_path / "a", (JUNE.timestamp(),) * 2)
        found = resolved(written("5/6/2016 14:05:06"), {}, tmp_path / "a")
        assert (found.moment, found.doubt[:9]) == (JUNE, "The order")

    def test_a_day_of_zeros_is_not_shown(self, tmp_path: Path) -> None:
        assert resolved(written("0000:00:00 00:00:00"), {}, tmp_path / "a").shown is None

    @pytest.mark.parametrize(
        ("plugin", "original", "expected"),
        [
            ("MSA", {"DATE": "05-JUN-2016", "TIME": "14:05:06"}, JUNE),
            ("MSA", {"DATE": "05.06.16", "TIME": "2:05:06 PM"}, JUNE),
            ("MSA", {"DATE": "5/6/16", "TIME": "14:05:06"}, None),
            ("TriVista", {"Document": {"RecordTime": "06/05/2016 14:05:06"}}, JUNE),
            ("TriVista", {"Document": {"RecordTime": "05.06.2016 14:05:06"}}, JUNE),
            ("Topspin", {"CreatedDateTime": "06/05/2016 14:05:06"}, JUNE),
            ("Ripple", {"date": "Jun 5 2016", "time": "14:05:06"}, JUNE),
            ("TIA", {"ObjectInfo": {"AcquireDate": "Sun Jun 05 14:05:06 2016"}}, JUNE),
            ("TIFF", {"DateTime": "2016:06:05 14:05:06"}, JUNE),
            ("TIFF", {"DateTime": "05.06.2016 14:05:06"}, JUNE),
            ("TIFF", {"DateTime": "2016/06/05 14:05:06"}, JUNE),
            ("TIFF", {"CZ_SEM": {"ap_date": ("Date", "5 Jun 2016"), "ap_time": ("Time", "14:05:06")}}, JUNE),
            ("TIFF", {"TVIPS": {"Date": 2016 << 16 | 6 << 8 | 5, "Time": 50706}}, JUNE),
            ("Delmic", {"AcquisitionDate": JUNE.replace(tzinfo=UTC).timestamp()}, JUNE.replace(tzinfo=UTC)),
            (
                "MRC",
                {"std_header": {"LABELS": b"x" * 80 + b"SerialEM: Digitized".ljust(56) + b"05-Jun-16  14:05:06 "}},
                JUNE,
            ),
            ("MRC", {"std_header": {"LABELS": b"tif2mrc: Converted".ljust(56) + b"05-Jun-16  14:05:06 "}}, None),
            ("MRC", {"std_header": {"LABELS": b"\0" * 800}}, None),
        ],
    )
    def test_by_the_readers_files(self, plugin: str, original: dict[str, object], expected: datetime | None) -> None:
        assert acquired_by(plugin, original, (), None, Path("nowhere")).moment == expected

    @pytest.mark.parametrize(("day", "expected"), [("5/6/2016", None), ("5/13/2016", MAY), ("", MAY)])
    def test_what_hyperspy_copied(self, day: str, expected: datetime | None) -> None:
        """Its own reading of DigitalMicrograph's tags took the month for first."""
        tags = {"DataBar": {"Acquisition Date": day, "Acquisition Time": "14:05:06"}}
        original = {"ImageList": {"TagGroup0": {"ImageTags": tags}}}
        assert acquired_by("HSPY", original, (), MAY, Path("nowhere")).moment == expected

    def test_a_vendors_clock_comes_first(self) -> None:
        found = acquired_by("MSA", {"DATE": "06-JUN-2016", "TIME": "14:05"}, (None, JUNE), None, Path("nowhere"))
        assert found.moment == JUNE
