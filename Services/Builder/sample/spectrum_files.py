"""The spectrum files of the session: what each shows and in which format it is left.

Each public function that takes a `Shot` writes its file, with random numbers as in `image_files`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from rsciio import hspy, msa, nexus, ripple

from Services.Builder.sample import images, microscope, spectra
from Services.Builder.sample.axes import UniformAxis, plane, signal
from Services.Builder.sample.dm3 import write_dm3
from Services.Builder.sample.image_files import chance
from Services.Builder.sample.plan import Shot

_XRAY = UniformAxis("Energy", 2048, 0.01, "keV")
_XRAY_MAP = UniformAxis("Energy", 1024, 0.01, "keV")
_LOW_LOSS = UniformAxis("Energy loss", 2048, microscope.DISPERSIONS["low loss"], "eV", offset=-20.0)
_CORE_LOSS = UniformAxis("Energy loss", 1024, microscope.DISPERSIONS["core loss"], "eV", offset=440.0)


def _msa_header(shot: Shot) -> dict[str, str]:
    """Header lines of the EMSA/MAS format that RosettaSciIO does not derive; the time has no seconds there."""
    return {
        "FORMAT": "EMSA/MAS Spectral Data File",  # a header that names its format is taken over as it is
        "DATE": microscope.date_msa(shot),
        "TIME": f"{shot.when:%H:%M}",
        "OWNER": microscope.OPERATOR,
        "YUNITS": "Counts",
        "COMMENT": f"{microscope.NAME}, {microscope.sample_name(shot.seed)}",
    }


def _xray_tree(shot: Shot, live_time: float) -> dict[str, Any]:
    detector = {
        "azimuth_angle": 45.0,
        "elevation_angle": 18.0,
        "solid_angle": 0.13,
        "live_time": live_time,
        "real_time": round(live_time * 1.12, 2),
        "energy_resolution_MnKa": spectra.RESOLUTION * 1e3,
        "EDS_det": "SIUTW",
    }
    return microscope.metadata(
        shot,
        shot.path.stem,
        signal_type="EDS_TEM",
        acquisition_mode="STEM",
        beam_current=0.21,
        Detector={"EDS": detector},
    )


def _xray_spectrum(shot: Shot, film: bool) -> npt.NDArray[np.uint32]:
    mean = spectra.xray(_XRAY.values, spectra.FILM if film else spectra.PARTICLE) * (4e4 if film else 4e5)
    return chance(shot).poisson(mean).astype(np.uint32)


def xray_msa(shot: Shot, film: bool = False) -> None:
    """X-ray spectrum of a particle or of the film beside it, in the EMSA/MAS exchange format."""
    data = _xray_spectrum(shot, film)
    msa.file_writer(str(shot.path), signal(data, (_XRAY,), _xray_tree(shot, 60.0), _msa_header(shot)))


def xray_dm3(shot: Shot) -> None:
    """X-ray spectrum of a particle from DigitalMicrograph."""
    tags = microscope.scanning_tags(shot, 1, 1024.0) | microscope.eds_tags(shot, 60.0, 67.2)
    write_dm3(shot.path, _xray_spectrum(shot, film=False), (_XRAY,), shot.path.stem, tags)


def _xray_map(shot: Shot, dwell: float) -> dict[str, Any]:
    """X-ray map of area 1, 30 x 30 positions, `dwell` s each."""
    size, step = 30, 27.0
    crystal, _, _ = images.thickness(images.scene(shot.seed, 1), (size, size), step)
    data = spectra.xray_map(chance(shot), crystal, _XRAY_MAP.values, 1500 * dwell)
    axes = (
        UniformAxis("y", size, step, "nm", navigate=True),
        UniformAxis("x", size, step, "nm", navigate=True),
        _XRAY_MAP,
    )
    return signal(data.astype(np.uint16), axes, _xray_tree(shot, size * size * dwell))


def xray_ripple(shot: Shot) -> None:
    """X-ray map as .rpl with its data in .raw."""
    ripple.file_writer(str(shot.path), _xray_map(shot, 0.2))


def xray_hspy(shot: Shot) -> None:
    """X-ray map kept by HyperSpy, with the lines to be looked at."""
    content = _xray_map(shot, 0.4)
    content["metadata"]["Sample"]["xray_lines"] = ["Co_Ka", "Mn_Ka", "Ni_Ka", "O_Ka"]
    hspy.file_writer(str(shot.path), content)


def low_loss(shot: Shot, exposure: float, frames: int) -> None:
    """Zero-loss peak and plasmons of a particle's edge."""
    data = chance(shot).poisson(spectra.low_loss(_LOW_LOSS.values, 0.45, 3e5 * frames)).astype(np.uint32)
    tags = microscope.scanning_tags(shot, 1, 200.0) | microscope.eels_tags(shot, _LOW_LOSS.scale, exposure, frames)
    write_dm3(shot.path, data, (_LOW_LOSS,), shot.path.stem, tags)


def _core_loss(shot: Shot, rim: float) -> npt.NDArray[np.uint32]:
    mean = 40 * spectra.core_loss(_CORE_LOSS.values, 20 if rim else 45, rim)
    return chance(shot).poisson(mean).astype(np.uint32)


def core_loss(shot: Shot, rim: float) -> None:
    """O K to Ni L: of the bulk (`rim` 0) or of the reduced surface (1)."""
    tags = microscope.scanning_tags(shot, 1, 200.0) | microscope.eels_tags(shot, _CORE_LOSS.scale, 0.5, 40)
    write_dm3(shot.path, _core_loss(shot, rim), (_CORE_LOSS,), shot.path.stem, tags)


def core_loss_msa(shot: Shot) -> None:
    """Core losses of the bulk in the EMSA/MAS exchange format."""
    tree = microscope.metadata(
        shot,
        shot.path.stem,
        signal_type="EELS",
        convergence_angle=microscope.CONVERGENCE,
        Detector={"EELS": {"collection_angle": microscope.COLLECTION, "exposure": 20000.0}},
    )
    msa.file_writer(str(shot.path), signal(_core_loss(shot, 0.0), (_CORE_LOSS,), tree, _msa_header(shot)))


def core_loss_map(shot: Shot) -> None:
    """Spectrum image across a particle's surface, 24 x 16 positions, energy first as DigitalMicrograph keeps it."""
    rows, columns, step = 16, 24, 2.0
    depth = np.clip(np.arange(columns) - 6, 0, None) * step
    lines = [spectra.core_loss(_CORE_LOSS.values, 2 + 0.9 * d, rim=float(np.exp(-d / 5))) for d in depth]
    mean = np.broadcast_to(np.stack(lines), (rows, columns, _CORE_LOSS.size))
    data = chance(shot).poisson(6 * mean).astype(np.uint16)
    axes = (_CORE_LOSS, *plane((rows, columns), step))
    tags = microscope.scanning_tags(shot, 1, 200.0)
    tags |= microscope.eels_tags(shot, _CORE_LOSS.scale, 0.05, 1, form="Spectrum image")
    tags["SI"] = {
        "Acquisition": {
            "Date": microscope.date_us(shot),
            "Start time": microscope.time_us(shot),
            "Pixel time (s)": 0.05,
            "SI Application Mode": {"Name": "2D Array"},
            "Spatial Sampling": {"Height (pixels)": rows, "Width (pixels)": columns},
        }
    }
    write_dm3(shot.path, np.ascontiguousarray(np.moveaxis(data, -1, 0)), axes, shot.path.stem, tags)


def thickness_map(shot: Shot) -> None:
    """Thickness in mean free paths (log-ratio of zero-loss and total), calculated from a scan, as NeXus."""
    size, pixel, free_path = 96, 10.0, 105.0
    crystal, _, carbon = images.thickness(images.scene(shot.seed, 1), (size, size), pixel)
    noise = chance(shot).normal(0, 0.015, (size, size))
    data = (crystal / free_path + carbon / 160 + noise).astype(np.float32)
    tree = microscope.metadata(
        shot, shot.path.stem, quantity="t/lambda", acquisition_mode="STEM", convergence_angle=microscope.CONVERGENCE
    )
    del tree["Sample"]["elements"]  # the reader takes a list for a dataset of its own
    # The reader keeps no date of the metadata tree; NeXus' own field says when.
    original = {"start_time": shot.when.isoformat(), "user": {"name": microscope.OPERATOR}}
    nexus.file_writer(str(shot.path), signal(data, plane((size, size), pixel), tree, original))
