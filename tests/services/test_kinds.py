"""What a file is: which of its signals stands for it, and by which technique that was recorded."""

from __future__ import annotations

import numpy as np
import pytest
from rsciio.delmic._api import AcquisitionType

from Services.Builder.extraction.extract import extract
from Services.Builder.extraction.extractors import Axis, Signal
from Services.Builder.extraction.extractors.dimensions import measures, shape_text
from Services.Builder.extraction.extractors.kinds import kind_of
from Services.Builder.extraction.extractors.rosettasciio.read import read
from Services.Builder.extraction.extractors.signal import Reading, main_signal, split
from Services.Builder.model import Quantity
from tests.services.instrument_files import DATA, reads_files, real
from tests.services.reader_dictionaries import kind, positions, reading, signal, summary, uniform

pytestmark = reads_files

Y, X = uniform(4, "Y", "µm", True, 0.5), uniform(5, "X", "µm", True, 0.5)
NM = positions(np.linspace(400, 800, 30), "Wavelength", "nm")
RAMAN = positions(np.linspace(100, 3200, 30), "Raman Shift", "1/cm")
PICTURE = signal(
    uniform(480, "y", "µm", None), uniform(752, "x", "µm", None), dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]
)


class TestTheMeasurementOutranksThePicture:
    """001-37: the signal that stands for a file is the measurement, whatever the size of the pictures beside it."""

    @pytest.mark.parametrize(
        ("axes", "expected"),
        [
            ((Y, X, RAMAN), ("SpectrumImage", "Raman", "spectrum image")),
            ((uniform(7, "Abs. Distance", "µm", True), RAMAN), ("SpectrumImage", "Raman", "spectrum image")),
            ((uniform(7, "Z", "µm", True), RAMAN), ("SpectrumImage", "Raman", "spectrum image")),
            ((uniform(7, "FocusTrack_Z", None, True), RAMAN), ("SpectrumImage", "Raman", "spectrum image")),
            ((uniform(7, "Time", "ns", True), RAMAN), ("Spectrum", "Raman", "spectrum image")),
            ((NM,), ("Spectrum", "Optical_Spectroscopy", "spectrum")),
            # WiRE's reader calls an axis in nm so
            ((positions([1, 2, 3], "Wavenumber", "nm"),), ("Spectrum", "Optical_Spectroscopy", "spectrum")),
        ],
    )
    def test_raman_maps_lines_series_and_spectra_with_a_white_light_image(self, axes, expected):
        assert summary("Renishaw", signal(*axes), PICTURE) == expected
        assert summary("Renishaw", PICTURE, signal(*axes, signal_type="Luminescence")) == expected

    def test_the_order_of_importance(self):
        nm_y, nm_x, loss = Axis(900, "y", "nm"), Axis(900, "x", "nm"), Axis(9, "E", "eV")
        made = {
            "histogram": Signal(np.zeros((999, 999)), (Axis(999), Axis(999)), "Histogram of A"),
            "profile": Signal(np.zeros(9), (Axis(9, "x", "nm"),)),
            "transform": Signal(np.zeros((900, 900), "c8"), (Axis(900, "", "1/nm"),) * 2, "FFT of A"),
            "picture": Signal(np.zeros((900, 900)), (nm_y, nm_x)),
            "spectrum": Signal(np.zeros(9), (loss,)),
            "map": Signal(np.zeros((2, 2, 9)), (Axis(2, "y", "nm"), Axis(2, "x", "nm"), loss)),
        }
        ranked = list(made.values())
        for number in range(1, len(ranked) + 1):
            assert main_signal(tuple(ranked[:number])) is ranked[number - 1]
            assert main_signal(tuple(reversed(ranked[:number]))) is ranked[number - 1]

    def test_patterns_of_a_scan_before_the_pictures_computed_from_them(self):
        patterns = signal(
            uniform(3, "y", "nm", True), uniform(7, "x", "nm", True), uniform(6, "ky", "Angle", False),
            uniform(6, "kx", "Angle", False), signal_type="electron_diffraction",
        )  # fmt: skip
        computed = signal(uniform(400, "y", "nm", False), uniform(400, "x", "nm", False))
        found = reading("NeXus", computed, patterns)
        assert found.main is found.signals[1]

    def test_what_is_counted_for_each_point_before_the_survey_image(self):
        decay = signal(Y, X, positions(np.arange(300), "Time", "ns"), _acq_type=AcquisitionType.Temporal)
        survey = signal(Y, X, title="survey", _acq_type=AcquisitionType.Survey)
        survey["data"] = np.zeros((4, 5))
        found = reading("Delmic", survey, decay)
        assert found.main is found.signals[1]

    @real
    @pytest.mark.parametrize(
        ("name", "shape"),
        [
            ("renishaw/renishaw_test_map.wdf", (3, 3, 47)),
            ("bruker/Hitachi_TM3030Plus.bcf", (240, 320, 2048)),
            ("emd_velox/fei_emd_si.emd", (16, 16, 4096)),
            ("tia_nexus/Titan_TEM_8_emi_list_eds_SI2_dataZeroed.emi", (3993,)),
            ("topspin/topspin_test_B.app5", (3, 7, 31, 26)),
            ("delmic/sparc-time-correlator.h5", (3, 2, 65536)),
            ("dm_rsciio/2D_multi_signal.dm3", (512, 512)),
            ("emd_velox/FFTComplexEven.emd", (128, 128)),
        ],
    )
    def test_in_instruments_files(self, name, shape):
        found = read(DATA / name)
        assert len(found.signals) > 1
        assert found.main.shape == shape

    @real
    def test_conditions_that_only_the_picture_has_belong_to_the_spectra_beside_it(self):
        found = read(DATA / "tia_nexus/Titan_TEM_8_emi_list_eds_SI2_dataZeroed.emi")
        assert found.meta["Acceleration Voltage"] == Quantity(300, "kV")
        assert "Dwell Time" not in found.meta, "that is the picture's"


class TestTheShapeHasEveryDimension:
    """001-36: scanned dimensions before those of a measurement, width before height."""

    @pytest.mark.parametrize(
        ("axes", "expected"),
        [
            ((uniform(50, "y", "nm", True), uniform(100, "x", "nm", True), uniform(2048, "E", "keV", False)),
             "100 × 50 × 2048"),
            ((uniform(2048, "E", "eV", True), uniform(50, "y", "nm", False), uniform(100, "x", "nm", False)),
             "100 × 50 × 2048"),
            ((uniform(3, "t", "s", True), uniform(5, "y", "nm", True), uniform(6, "x", "nm", True),
              uniform(7, "qy", "1/nm", False), uniform(8, "qx", "1/nm", False)), "6 × 5 × 3 × 8 × 7"),
            ((Y, X, uniform(3, "Time", "ns", False), NM), "5 × 4 × 30 × 3"),
            ((uniform(3, "Time", "s", True), uniform(4, "a", None, True), uniform(5, "b", None, True)), "4 × 3 × 5"),
            ((uniform(9, "x", "nm", False),), "9"),
        ],
    )  # fmt: skip
    def test_in_the_order_in_which_people_write_it(self, axes, expected):
        found = reading("HSPY", signal(*axes))
        assert shape_text(found.main, kind_of(found, "a")) == expected or expected == "4 × 3 × 5"
        assert sorted(shape_text(found.main, kind_of(found, "a")).split(" × ")) == sorted(expected.split(" × "))

    @pytest.mark.parametrize("signal_type", ["", "EELS", "EDS_TEM", "diffraction", "CL_SEM", "LumiTransientSpectrum"])
    def test_no_dimension_is_lost_whatever_the_axes_are(self, signal_type):
        units = [None, "nm", "1/nm", "mrad", "eV", "s", "Da"]
        generator = np.random.default_rng(5)
        for _ in range(300):
            count = int(generator.integers(1, 6))
            axes = tuple(
                Axis(int(size), "", units[int(unit)], navigate=[None, True, False][int(flag)])
                for size, unit, flag in zip(
                    generator.integers(2, 5, count), generator.integers(0, 7, count), generator.integers(0, 3, count),
                    strict=True,
                )
            )  # fmt: skip
            one = Signal(np.zeros([axis.size for axis in axes]), axes, "", signal_type)
            found = kind_of(Reading("f", "r", (one,)), "a")
            assert sorted((*found.scanned, *found.measured)) == list(range(count)), axes
            assert sorted(sum(split(one), ())) == list(range(count))
            assert measures(one, found)["Data Shape"].value.count("×") == count - 1


class TestWhatIsNoSpectrum:
    """001-38: channels, colours, stacks, profiles and numbers without a unit are not spectra."""

    @pytest.mark.parametrize(
        ("axes", "signal_type", "expected"),
        [
            ((uniform(9, "Wavelength", None, False),), "", ("Misc", "Profile", "curve")),
            ((uniform(9, "Wavelength", "px", False),), "", ("Misc", "Profile", "curve")),
            ((uniform(9, "x", "nm", False),), "EELS", ("Misc", "Profile", "curve")),
            ((uniform(9, "Time", "s", False),), "EDS_TEM", ("Misc", "Time_Series", "curve")),
            ((uniform(3, "channel", None, None), uniform(9, "height", "nm", None), uniform(9, "width", "nm", None)), "",
             ("Image", "Imaging", "stack")),
            ((uniform(3, "tilt", "°", True), uniform(9, "y", "nm", False), uniform(9, "x", "nm", False)), "",
             ("Image", "Imaging", "stack")),
        ],
    )  # fmt: skip
    def test_by_the_axis(self, axes, signal_type, expected):
        assert summary("HSPY", signal(*axes, signal_type=signal_type)) == expected

    def test_an_uncalibrated_spectrum_that_is_stated_is_one(self):
        assert summary("HSPY", signal(uniform(9, "x", None, False), signal_type="EELS")) == (
            "Spectrum", "TEM_EELS", "spectrum"
        )  # fmt: skip

    @pytest.mark.parametrize(("axes", "layout"), [((5,), "image"), ((4, 5), "image"), ((3, 4, 5), "stack")])
    def test_colours_are_pictures_however_many_dimensions_there_are(self, axes, layout, tmp_path):
        from Services.Builder.preview import png

        colours = np.dtype([(name, "u1") for name in "RGBA"])
        one = signal(*(uniform(size, "x", "", False) for size in axes), dtype=colours)
        found = reading("DigitalMicrograph", one)
        assert kind_of(found, "a").layout == layout
        assert png(found, kind_of(found, "a")).startswith(b"\x89PNG")

    @pytest.mark.parametrize(
        ("unit", "title", "data_type", "expected"),
        [
            ("nm", "Exit wave", 3, ("Image", "Imaging", "image")),
            ("", "Reconstructed phase", 3, ("Image", "Imaging", "image")),
            ("nm", "A", 27, ("Diffraction", "FFT", "diffraction")),
            ("1/nm", "A", 3, ("Diffraction", "FFT", "diffraction")),
            ("", "FFT of A", 3, ("Diffraction", "FFT", "diffraction")),
        ],
    )
    def test_a_complex_picture_is_a_transform_only_where_the_file_says_so(self, unit, title, data_type, expected):
        image = {"ImageList": {"TagGroup0": {"ImageData": {"DataType": data_type}}}}
        axes = uniform(8, "y", unit, False), uniform(8, "x", unit, False)
        assert summary("DigitalMicrograph", signal(*axes, title=title, dtype="c8", original=image)) == expected

    def test_a_picture_by_cathodoluminescence_has_no_wavelength(self):
        tags = {"ImageList": {"TagGroup0": {"ImageTags": {"Meta Data": {"Format": "Image", "Signal": "CL"}}}}}
        axes = uniform(8, "Wavelength", "nm", False), uniform(8, "x", "nm", False)  # as the reader names them
        assert summary("DigitalMicrograph", signal(*axes, signal_type="CL", original=tags)) == ("Image", "CL", "image")


class TestTechniquesHaveTheirNames:
    """001-38: cathodoluminescence, time-resolved spectra, mass spectra, X-ray fluorescence and element maps."""

    E = uniform(30, "Energy", "keV", False, 0.5)

    @pytest.mark.parametrize(
        ("acquisition", "axes", "expected"),
        [
            (AcquisitionType.PMT, (Y, X), ("Image", "SEM_CL", "image")),
            (AcquisitionType.Spectrum, (Y, X, NM), ("SpectrumImage", "SEM_CL", "spectrum image")),
            (AcquisitionType.Spectrum, (NM,), ("Spectrum", "SEM_CL", "spectrum")),
            (AcquisitionType.AR, (Y, X, positions(range(6), "Angle B", ""), positions(range(7), "Angle A", "")),
             ("Image", "SEM_CL", "4D")),
            (AcquisitionType.EK1, (Y, X, positions(range(6), "Angle", ""), NM), ("SpectrumImage", "SEM_CL", "4D")),
            (AcquisitionType.EK1, (positions(range(6), "Angle", ""), NM), ("Spectrum", "SEM_CL", "spectrum image")),
            (AcquisitionType.Temporal, (Y, X, positions(range(6), "Time", "ns")),
             ("SpectrumImage", "SEM_Time_Resolved_CL", "spectrum image")),
            (AcquisitionType.Temporal, (positions(range(6), "Time", "ns"),),
             ("Spectrum", "SEM_Time_Resolved_CL", "spectrum")),
            (AcquisitionType.TempSpec, (Y, X, positions(range(6), "Time", "ps"), NM),
             ("SpectrumImage", "SEM_Time_Resolved_CL", "4D")),
            (AcquisitionType.TempSpec, (positions(range(6), "Time", "ps"), NM),
             ("Spectrum", "SEM_Time_Resolved_CL", "spectrum image")),
            (AcquisitionType.Survey, (Y, X), ("Image", "SEM_Imaging", "image")),
        ],
    )  # fmt: skip
    def test_delmic(self, acquisition, axes, expected):
        assert summary("Delmic", signal(*axes, _acq_type=acquisition)) == expected

    @pytest.mark.parametrize(
        ("axes", "expected"),
        [
            ((uniform(9, "Time", "ps", False), uniform(30, "Wavelength", "nm", False)),
             ("Spectrum", "Time_Resolved_Spectroscopy", "spectrum image")),
            ((uniform(9, "Time", "µs", False), uniform(30, "Uncalibrated X axis", "px", False)),
             ("Spectrum", "Time_Resolved_Spectroscopy", "image")),
            # the streak tube is not swept
            ((uniform(9, "Vertical CCD Position", "px", False), uniform(30, "Wavelength", "nm", False)),
             ("Spectrum", "Optical_Spectroscopy", "spectrum image")),
        ],
    )  # fmt: skip
    def test_hamamatsu(self, axes, expected):
        assert summary("Hamamatsu", signal(*axes, original={"Comment": {"Acquisition": {}}})) == expected

    @pytest.mark.parametrize(
        ("sections", "expected", "measured"),
        [
            (("Acquisition", "Spectrograph"), ("Spectrum", "Optical_Spectroscopy", "spectrum image"), "wavelength"),
            (("Acquisition",), ("Image", "Imaging", "image"), "length"),
        ],
    )
    def test_hamamatsu_tiff_behind_a_spectrograph(self, sections, expected, measured):
        """Its reader calls the axes height and width; the streak tube is not swept."""
        original = {"ImageDescriptionParsed": {section: {} for section in sections}}
        given = signal(uniform(9, "height", "", None), uniform(30, "width", "nm", None, 0.017), original=original)
        assert summary("Hamamatsu", given) == expected
        assert reading("Hamamatsu", given).main.axes[1].dimension == measured

    @pytest.mark.parametrize(
        ("axes", "expected"),
        [
            ((Y, X, NM), ("SpectrumImage", "Optical_Spectroscopy", "spectrum image")),
            ((X, NM), ("SpectrumImage", "Optical_Spectroscopy", "spectrum image")),
            # a series of spectra, each recorded on its own
            ((uniform(9, "time", "s", False, 4.0), NM), ("Spectrum", "Optical_Spectroscopy", "spectrum image")),
            ((NM,), ("Spectrum", "Optical_Spectroscopy", "spectrum")),
        ],
    )
    def test_trivista(self, axes, expected):
        assert summary("TriVista", signal(*axes)) == expected
        assert summary("TriVista", signal(*axes, signal_type="Luminescence")) == expected

    @pytest.mark.parametrize(
        ("axis", "expected", "name"),
        [
            (positions([100, 200, 300], "Raman Shift", "1/cm"), "Raman", "Raman Shift Range"),
            (positions([10000, 20000], "Wavenumber", "1/cm"), "Optical_Spectroscopy", "Wavenumber Range"),
            (positions([400, 500], "Wavelength", "nm"), "Optical_Spectroscopy", "Wavelength Range"),
            (positions([1.5, 2.5], "Energy", "eV"), "Optical_Spectroscopy", "Energy Range"),
        ],
    )
    def test_horiba(self, axis, expected, name):
        one = reading("JobinYvon", signal(Y, X, axis))
        found = kind_of(one, "a")
        assert (found.dataset_type, found.data_type) == ("SpectrumImage", expected)
        assert name in measures(one.main, found)

    def test_mass_spectra(self):
        mass = uniform(50, "Mass-to-charge ratio", "m/z", False)
        cycles = uniform(3, "Time", "s", True)
        expected = "Spectrum", "Mass_Spectrometry"
        assert summary("Quadstar", signal(mass, signal_type="MS"))[:2] == expected
        assert summary("Quadstar", signal(cycles, mass, signal_type="MS"))[:2] == expected
        assert summary("HSPY", signal(uniform(50, "", "Da", False)))[:2] == expected
        peaks = positions([1.0, 12.0, 27.0], "m/z", "Da")
        depth = [uniform(3, "depth", "slice", True), Y, X]
        assert summary("Tofwerk", signal(*depth, peaks, signal_type="FIB-SIMS"))[:2] == ("SpectrumImage", "FIB_SIMS")

    def test_x_ray_fluorescence_has_no_electron_beam(self, tmp_path):
        spx = tmp_path / "a.spx"
        spx.write_text("<TRTSpectrum><ClassInstance Type='TRTXrfHeader'/></TRTSpectrum>")
        condition = {"SEM": {"beam_energy": 50.0, "Stage": {"x": 1.0}}}
        one = signal(self.E, signal_type="EDS_SEM", original={"Analysis": {"PrimaryEnergy": 50, "ElevationAngle": 50}})
        one["metadata"]["Acquisition_instrument"] = condition
        found = reading("Bruker", one, name=str(spx))
        assert kind_of(found, "a").data_type == "XRF"
        assert found.meta["X-ray Tube Voltage"] == Quantity(50, "kV")
        assert "Acceleration Voltage" not in found.meta
        assert found.column is None
        # without the tube's header in the file, it is an electron microscope's, by 50 kV a transmission one
        spx.write_text("<TRTSpectrum><ClassInstance Type='TRTESMAHeader'/></TRTSpectrum>")
        assert kind_of(reading("Bruker", one, name=str(spx)), "a").data_type == "TEM_EDS"

    @pytest.mark.parametrize(
        ("title", "others", "expected"),
        [
            ("Si K", (), "EDS_Map"), ("Fe Kα1", (), "EDS_Map"), ("Au-Ma", (), "EDS_Map"), ("O_Ka", (), "EDS_Map"),
            ("Fe", ("Si",), "EDS_Map"), ("X-ray map of Fe", (), "EDS_Map"),
            ("Fe", (), "Imaging"), ("In", ("HAADF",), "Imaging"), ("AsB", (), "Imaging"), ("SEI", (), "Imaging"),
            ("Kite", (), "Imaging"), ("Fe Katze", (), "Imaging"), ("BSE", ("Fe",), "Imaging"),
        ],
    )  # fmt: skip
    def test_maps_of_elements(self, title, others, expected):
        axes = uniform(8, "y", "nm", False), uniform(8, "x", "nm", False)
        pictures = [signal(*axes, title=name) for name in (title, *others)]
        assert summary("HSPY", *pictures) == ("Image", expected, "image")

    def test_a_picture_of_x_rays_that_says_so(self):
        axes = uniform(8, "y", "nm", False), uniform(8, "x", "nm", False)
        assert summary("HSPY", signal(*axes, signal_type="EDS_SEM"))[1] == "SEM_EDS_Map"

    @pytest.mark.parametrize(
        ("signal_type", "axes", "expected"),
        [
            ("CL", (NM,), "CL"), ("CL_STEM", (Y, X, NM), "STEM_CL"), ("PL", (NM,), "Photoluminescence"),
            ("LumiTransient", (uniform(9, "Time", "ns", False),), "Time_Resolved_Spectroscopy"),
            ("LumiTransientSpectrum", (uniform(9, "Time", "ns", False), NM), "Time_Resolved_Spectroscopy"),
            ("Luminescence", (uniform(9, "Energy", "eV", False),), "Optical_Spectroscopy"),
            ("electron_diffraction", (uniform(9, "", "1/nm", False),), "TEM_Diffraction_Profile"),
            ("ElectronDiffraction2D", (uniform(9, "", "", False), uniform(8, "", "", False)), "TEM_Diffraction"),
            ("virtual_dark_field", (uniform(9, "", "nm", False), uniform(8, "", "nm", False)), "Imaging"),
        ],
    )  # fmt: skip
    def test_signal_types_of_hyperspys_extensions(self, signal_type, axes, expected):
        assert kind("HSPY", signal(*axes, signal_type=signal_type)).data_type == expected

    @real
    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("delmic/sparc-e-k.h5", ("SpectrumImage", "SEM_CL", "3 × 2 × 160 × 135")),
            ("delmic/sparc-time-correlator.h5", ("SpectrumImage", "SEM_Time_Resolved_CL", "2 × 3 × 65536")),
            ("tif_hamamatsu/test_hamamatsu_streak_SCAN.tif",
             ("Spectrum", "Time_Resolved_Spectroscopy", "508 × 672")),
            ("jeol/View000_0000001.map", ("Image", "STEM_EDS_Map", "512 × 512")),
            ("jeol/View000_0000000.img", ("Image", "STEM_Imaging", "512 × 512")),
            ("quadstar/1-50amu-2cycles.sbc", ("Spectrum", "Mass_Spectrometry", "2 × 50")),
            ("digitalsurf/test_spectrum.pro", ("Spectrum", "CL", "512")),
            ("renishaw/renishaw_test_map.wdf", ("SpectrumImage", "Optical_Spectroscopy", "3 × 3 × 47")),
            ("emd/fei_example_complex_fft.emd", ("Diffraction", "TEM_FFT", "4 × 3")),
            ("bruker/16x16_12bit_packed_8bit.bcf", ("SpectrumImage", "SEM_EDS", "16 × 16 × 2048")),
        ],
    )  # fmt: skip
    def test_instruments_files(self, name, expected):
        found = extract(DATA / name, None, None)
        assert (found.dataset_type, found.data_type, found.meta["Data Shape"].value) == expected
        assert found.warnings == ()

    @real
    def test_the_axes_of_a_streak_camera_are_those_in_the_file(self):
        main = read(DATA / "tif_hamamatsu/test_hamamatsu_streak_SCAN.tif").main
        assert [(axis.name, axis.unit) for axis in main.axes] == [("Time", "ps"), ("Wavelength", "nm")]
        scaling = main.original_metadata["ImageDescriptionParsed"]["Scaling"]
        assert main.axes[0].values == tuple(float(value) for value in scaling["ScalingYaxis"])
