"""The formats that are known: each declares itself, and the content decides between those that claim a file."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from Services.Builder.extraction.extractors import declared, extensions, formats
from Services.Builder.extraction.extractors.rosettasciio.declared import readers_for


class TestDeclaredFormats:
    """001-28, 001-32: every format is a folder that declares itself; the content decides between claimants."""

    def test_every_folder_is_complete(self):
        assert {one.spec.name for one in formats()} >= {"RosettaSciIO", "FEI/Thermo Fisher TIFF", "plain text"}
        for one in formats():
            assert all(extension.startswith(".") and extension.islower() for extension in one.spec.extensions)
            assert one.recognise(b"", Path("a.nothing-has-this-extension")) is False

    def test_what_the_facility_needs_is_declared(self):
        extensions_of: dict[str, set[str]] = {}
        for one in declared():
            extensions_of.setdefault(one.name, set()).update(one.extensions)
        wanted = (
            "dm3 dm4 ser emi tif emd bcf spx spc spd msa hspy zspy mrc blo mib tvips asw eds map pts img h5 nxs prz"
            " elid wdf sur rpl dens csv tvf png jpg bmp txt"
        )
        claimed = set().union(*extensions_of.values())
        assert {f".{one}" for one in wanted.split()} <= claimed
        for name in (
            *("FEI/Thermo Fisher TIFF", "Zeiss SEM TIFF", "Zeiss Orion TIFF", "JEOL SEM image", "JEOL SightX TIFF"),
            *("Tescan TIFF", "Olympus SIS TIFF", "ImageJ TIFF", "Thermo Fisher Velox EMD", "Tofwerk FIB-SIMS"),
        ):
            assert name in extensions_of

    def test_everything_rosettasciio_reads_is_known(self):
        from rsciio import IO_PLUGINS

        claimed = {f".{extension.lower()}" for plugin in IO_PLUGINS for extension in plugin["file_extensions"]}
        assert claimed <= extensions()

    @pytest.mark.parametrize(
        ("head", "name", "expected"),
        [
            (b"Time, Notes, Channel A Temperature\n", "a.csv", ["Protochips"]),
            (b"Experiment time,TimeStamp,Temperature\n", "a.csv", ["Impulse"]),
            (b"name,age\nx,3\n", "a.csv", []),
            (b"<?xml?><root><raw_file filename='x'/>", "a.xml", ["EMPAD"]),
            (b"<LSX_Data><LSX_Tree>", "a.xml", ["JobinYvon"]),
            (b"<html>", "a.xml", []),
            (b"IM\x00\x00", "a.img", ["Hamamatsu"]),
            (struct.pack("<i", 52), "a.img", ["JEOL"]),
            (struct.pack("<4i", 4, 4, 1, 1), "a.mrc", ["MRC"]),
            (struct.pack("<4i", 4, 4, 1, 1001), "a.mrc", ["MRCZ"]),
            (b"anything", "a.DM3", ["DigitalMicrograph"]),
        ],
    )
    def test_readers_by_content(self, tmp_path, head, name, expected):
        path = tmp_path / name
        path.write_bytes(head)
        assert [one.plugin for one in readers_for(head, path)] == expected

    def test_importing_the_registry_is_light(self):
        assert "Services.Builder.extraction.extractors.registry" in sys.modules
