"""Times of instruments' files against what stands in them; a bad date costs itself only."""

from __future__ import annotations

import struct
from datetime import datetime
from pathlib import Path

import pytest

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors.rosettasciio.lenient_dates import NEVER, lenient_dates
from Services.Builder.model import Extraction
from tests.services.instrument_files import DATA, reads_files, real

pytestmark = reads_files


def local(found: Extraction) -> str | None:
    """Return the time on the instrument's clock; a zone only where it is not that of this machine."""
    if found.acquired is None:
        return None
    return found.acquired.isoformat()


@real
class TestTimesInTheFiles:
    """001-39: each against the text or the number in the file."""

    @pytest.mark.parametrize(
        ("name", "iso"),
        [
            # detectorSpecific/data_collection_date: 2025-05-03T01:51:00.302+02:00
            ("arina/test_00_master.h5", "2025-05-03T01:51:00.302000+02:00"),
            # ImageData/TOffset: seconds since 1970
            ("delmic/sparc-e-k.h5", "2024-08-29T13:07:30.221050+00:00"),
            # DigiScan.TimeStamp: Tue Dec 10 15:32:32 2019; Windows' clock 20:32:41 UTC
            ("dm_nexus/TEM_list_signal_dataZeroed.dm3", "2019-12-10T20:32:41+00:00"),
            # timestamp="1559820600.164675" beside isoformat="2019-06-06T13:30:00.164675"
            ("empad/map4x4.xml", "2019-06-06T11:30:00.164675+00:00"),
        ],
    )
    def test_with_their_zone(self, name: str, iso: str) -> None:
        assert local(extract(DATA / name, None, None)) == iso

    @pytest.mark.parametrize(
        ("name", "iso"),
        [
            ("edax/leo_edax_test.spc", "2022-08-29T10:14:08"),  # its EMSA twin: 29-Aug-2022 10:14
            ("jobinyvon/jobinyvon_test_spec.xml", "2022-06-27T16:26:24"),  # 27.06.2022 16:26:24
            ("phenom/Elid2Version4.elid", "2019-08-07T09:37:31"),  # 2019-08-07T09:37:31, without a zone
            ("renishaw/renishaw_test_map.wdf", "2022-06-27T17:48:23"),
            ("tif_hamamatsu/test_hamamatsu_streak_SCAN.tif", "2022-02-09T18:14:40.155000"),  # 09/02/2022 18:14:40.155
            ("tif_fei/scios_xml_metadata.tif", "2024-05-01T12:56:16"),  # 01.05.2024 12:56:16, also 05/01/2024
            ("topspin/topspin_test_B.app5", "2024-12-03T17:51:51"),  # 12/03/2024 17:51:51
            ("trivista/spec_1s_1acc_1frame_average.tvf", "2022-06-14T13:34:27.453000"),  # 06/14/2022 13:34:27.453
        ],
    )
    def test_on_the_instruments_clock(self, name: str, iso: str) -> None:
        found = extract(DATA / name, None, None).acquired
        assert found is not None
        assert found.astimezone().replace(tzinfo=None) == datetime.fromisoformat(iso)

    def test_one_whose_order_is_open(self) -> None:
        found = extract(DATA / "dm_rsciio/2D_test_diffraction_pattern.dm3", None, None)
        shown = found.meta["Acquisition Date"]
        assert (found.acquired, shown.value, shown.warning) == (None, "7/9/2014 6:56:37 PM", True)
        assert "may be 9 July 2014 or 7 September 2014" in shown.reason


@real
class TestABadDate:
    """A date that does not exist, or is written in another way, does not cost the data."""

    @pytest.mark.parametrize(
        ("name", "as_written", "instead", "iso"),
        [
            ("bruker/bruker_nano.spx", "2.3.2018", "99.99.18", None),
            ("bruker/bruker_nano.spx", "2.3.2018", "3/27/2018", "2018-03-27T13:53:04"),
            ("dens/file1.dens", "16/04/'15", "46/04/'15", None),
            ("jobinyvon/jobinyvon_test_spec.xml", "27.06.2022 16:26:24", "6/27/2022 4:26:24 PM", "2022-06-27T16:26:24"),
            ("protochips/protochips_thermal.csv", "2014.12.03", "2014.13.03", None),
            (
                "trivista/spec_1s_1acc_1frame_average.tvf",
                "06/14/2022 13:34:27",
                "14.06.2022 13:34:27",
                "2022-06-14T13:34:27.453",
            ),
            ("msa/example1.msa", "01-OCT-1991", "27.10.91", "1991-10-27T12:00:00"),
            ("tif_other/test_tiff_Zeiss_SEM_512pix.tif", "25 Sep 2018", "25 Xep 2018", None),
        ],
    )
    def test_the_rest_is_read(self, tmp_path: Path, name: str, as_written: str, instead: str, iso: str | None) -> None:
        content = (DATA / name).read_bytes()
        assert as_written.encode() in content
        (tmp_path / Path(name).name).write_bytes(content.replace(as_written.encode(), instead.encode()))
        found, whole = extract(tmp_path / Path(name).name, None, None), extract(DATA / name, None, None)
        assert (found.dataset_type, found.data_type) == (whole.dataset_type, whole.data_type)
        assert found.meta["Data Shape"] == whole.meta["Data Shape"]
        acquired = found.acquired and found.acquired.astimezone().replace(tzinfo=None)
        assert acquired == (datetime.fromisoformat(iso) if iso else None)

    def test_a_number_that_is_no_day(self, tmp_path: Path) -> None:
        content = bytearray((DATA / "jeol/met03.EDS").read_bytes())
        content[10:18] = struct.pack("<d", float("inf"))
        (tmp_path / "a.EDS").write_bytes(content)
        found = extract(tmp_path / "a.EDS", None, None)
        assert (found.acquired, found.dataset_type, found.warnings) == (None, "Spectrum", ())


def test_readers_have_their_own_dates_again() -> None:
    """What is replaced for one file is put back, also after an error."""
    from rsciio.bruker import _api

    before = _api.datetime
    with pytest.raises(KeyError), lenient_dates("rsciio.bruker._api"):
        assert _api.datetime.strptime("x", "%Y") == NEVER
        raise KeyError
    assert _api.datetime is before
