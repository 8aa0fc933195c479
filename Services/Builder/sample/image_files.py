"""The image and diffraction files of the session: what each shows and in which format it is left.

Each public function that takes a `Shot` writes its file. Its random numbers come from the session's seed and the file's
name alone, so that a file does not change when another is added to the plan.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import numcodecs  # type: ignore[import-untyped]  # the package carries no types
import numpy as np
import numpy.typing as npt
from rsciio import blockfile, emd, mrcz, tiff, tvips, zspy

from Services.Builder.sample import diffraction, images, microscope
from Services.Builder.sample.axes import UniformAxis, plane, signal
from Services.Builder.sample.crystal import FloatArray, wavelength
from Services.Builder.sample.dm3 import write_dm3
from Services.Builder.sample.plan import Shot

CAMERA_LENGTH = 560.0
"""Of the selected-area patterns, in mm."""
DISC_CONVERGENCE = 1.2
"""Convergence semi-angle of the beam in the scanned diffraction, in mrad."""
SCHERZER = -67.0
"""Defocus of the high-resolution images, in nm."""
FINE = 0.035
"""Size of a pixel of the high-resolution images, in nm."""


def chance(shot: Shot, subject: str = "") -> np.random.Generator:
    """Random numbers of a file, or of what several files of the session show."""
    return np.random.default_rng([shot.seed, zlib.crc32((subject or shot.path.name).encode())])


def counts(values: npt.NDArray[Any]) -> npt.NDArray[np.uint16]:
    """Give counts the 16 bits of a detector; what is brighter is saturated."""
    return np.asarray(np.clip(values, 0, 65535), dtype=np.uint16)


def haadf(shot: Shot, area: int, pixel: float) -> None:
    """Annular dark-field scan of an area, 512 x 512 pixels of `pixel` nm."""
    data = counts(images.haadf(chance(shot), images.scene(shot.seed, area), (512, 512), pixel))
    tags = microscope.scanning_tags(shot, area, 512 * pixel)
    tags["DigiScan"] = {"Sample Time": 8.0, "Image Width": 512, "Image Height": 512, "Rotation": 0.0}
    tags["DataBar"]["Signal Name"] = "HAADF"
    write_dm3(shot.path, data, plane((512, 512), pixel), shot.path.stem, tags)


def haadf_emd(shot: Shot, area: int, pixel: float) -> None:
    """Write the same as an NCEM .emd, from the control program of a second detector."""
    data = counts(images.haadf(chance(shot), images.scene(shot.seed, area), (512, 512), pixel))
    original = {
        "microscope": {
            "name": microscope.NAME,
            "voltage": images.HIGH_TENSION,
            "voltage_units": "[k_V]",
            "magnification": microscope.scan_magnification(512 * pixel),
            "detector": "HAADF",
            "dwell_time": 8e-6,
            "dwell_time_units": "[s]",
        },
        "sample": {"material": "LiNi0.8Mn0.1Co0.1O2", "preparation": "crushed, lacey carbon on Cu 200 mesh"},
        "user": {"name": microscope.OPERATOR},
        "comments": {shot.when.isoformat(timespec="seconds"): f"HAADF image of {microscope.sample_name(shot.seed)}"},
    }
    tree = microscope.metadata(shot, shot.path.stem, area=area)
    emd.file_writer(str(shot.path), signal(data, plane((512, 512), pixel), tree, original), compression="gzip")


def truncated(shot: Shot, area: int, pixel: float) -> None:
    """Leave a file that the control program could not finish: the first two thirds of an .emd."""
    haadf_emd(shot, area, pixel)
    whole = shot.path.read_bytes()
    shot.path.write_bytes(whole[: len(whole) * 2 // 3])


def bright_field(shot: Shot, area: int, pixel: float) -> None:
    """Bright-field image of an area on the camera, 512 x 512 pixels (binning 4)."""
    data = counts(images.bright_field(chance(shot), images.scene(shot.seed, area), (512, 512), pixel))
    tags = microscope.camera_tags(
        shot,
        area,
        diffraction=False,
        magnification=microscope.camera_magnification(pixel, 4),
        exposure=0.5,
        binning=4,
    )
    write_dm3(shot.path, data, plane((512, 512), pixel), shot.path.stem, tags)


def movie(shot: Shot) -> None:
    """Film a drifting particle: twelve frames, one a second, 1 nm per pixel, in a TVIPS stream."""
    rng, view = chance(shot), images.scene(shot.seed, 2)
    frames = [images.bright_field(rng, view, (200, 200), 1.0, drift=1.5 * number) for number in range(12)]
    # The writer takes the first axis's scale, the frame time, for the size of a pixel: both are 1 here.
    axes = (UniformAxis("time", 12, 1.0, "s", navigate=True), *plane((200, 200), 1.0))
    tree = microscope.metadata(shot, shot.path.stem, area=2, magnification=microscope.camera_magnification(1.0, 8))
    tvips.file_writer(str(shot.path), signal(counts(np.stack(frames)), axes, tree))


def lattice_image(shot: Shot, subject: str, size: int, pixel: float, defocus: float) -> npt.NDArray[np.uint16]:
    """Image of a crystal's edge; the same subject is the same crystal, the same defocus the same exposure of it."""
    specimen = chance(shot, subject)
    return counts(images.lattice(specimen, chance(shot, f"{subject} {defocus}"), size, pixel, defocus))


def high_resolution(shot: Shot) -> None:
    """High-resolution image of a crystal's edge along [100], 1024 x 1024 pixels (binning 2)."""
    data = lattice_image(shot, shot.path.stem, 1024, FINE, SCHERZER)
    tags = microscope.camera_tags(
        shot,
        2,
        diffraction=False,
        magnification=microscope.camera_magnification(FINE, 2),
        exposure=1.0,
        binning=2,
    )
    write_dm3(shot.path, data, plane(data.shape, FINE), shot.path.stem, tags)


def exported(shot: Shot) -> None:
    """Export the high-resolution image of the same name as a TIFF, for the report."""
    data = lattice_image(shot, shot.path.stem, 1024, FINE, SCHERZER)
    tree = microscope.metadata(shot, shot.path.stem, area=2, quantity="Intensity (Counts)")
    tiff.file_writer(str(shot.path), signal(data, plane(data.shape, FINE), tree))


def focal_series(shot: Shot) -> None:
    """Five images of one edge at rising underfocus, as an .mrc stack whose third axis is the defocus in nm."""
    step, pixel = 12.0, 0.05
    stack = [lattice_image(shot, shot.path.stem, 320, pixel, SCHERZER - step * number) for number in range(5)]
    axes = (UniformAxis("z", 5, step, "nm", navigate=True), *plane((320, 320), pixel))
    tree = microscope.metadata(shot, shot.path.stem, area=2)
    mrcz.file_writer(str(shot.path), signal(np.stack(stack), axes, tree))
    # mrcz leaves the sampling MX, MY at zero; other readers divide the cell's edges by it (MRC2014, words 8 and 9).
    with shot.path.open("r+b") as file:
        file.seek(28)
        file.write(struct.pack("<2i", 320, 320))


def selected_area(shot: Shot, tilt: float | None) -> None:
    """Selected-area pattern of one crystal, `tilt` mrad off its zone axis; of the powder when `tilt` is None."""
    pixel, centre, rng = microscope.diffraction_pixel(CAMERA_LENGTH, 4), (258.3, 251.7), chance(shot)
    if tilt is None:
        pattern = diffraction.rings(rng, 512, pixel, centre)
    else:
        angle = chance(shot, "the crystal in area 2").uniform(0.3, 1.2)  # the same before and after tilting
        pattern = diffraction.spots(rng, 512, pixel, centre, angle, tilt)
    axes = (
        UniformAxis("y", 512, pixel, "1/nm", offset=-centre[1] * pixel),
        UniformAxis("x", 512, pixel, "1/nm", offset=-centre[0] * pixel),
    )
    tags = microscope.camera_tags(shot, 2, diffraction=True, magnification=CAMERA_LENGTH, exposure=0.2, binning=4)
    write_dm3(shot.path, counts(pattern), axes, shot.path.stem, tags)


def _two_crystals(steps: int) -> FloatArray:
    """Scan across two crystals that meet at a slanted boundary, vacuum on the left: how much of each, (2, y, x)."""
    y, x = np.mgrid[0:steps, 0:steps] / (steps - 1)
    inside = 1 / (1 + np.exp(-(x - 0.22 - 0.1 * y) * 25))
    second = 1 / (1 + np.exp(-(x - 0.75 + 0.3 * y) * 40))
    return np.asarray(0.8 * np.stack([inside * (1 - second), inside * second]))


def precession(shot: Shot) -> None:
    """Scan precession diffraction for an orientation map, as a blockfile; its detector is calibrated in cm."""
    steps, size, step, camera_length = 16, 80, 6.0, 30.0
    pixel = 0.014  # cm
    reciprocal = pixel / (camera_length * wavelength(images.HIGH_TENSION))
    patterns = diffraction.scan(chance(shot), _two_crystals(steps), size, reciprocal, 0.25, 2e4)
    axes = (
        UniformAxis("y", steps, step, "nm", navigate=True),
        UniformAxis("x", steps, step, "nm", navigate=True),
        UniformAxis("dy", size, pixel, "cm"),
        UniformAxis("dx", size, pixel, "cm"),
    )
    days = (shot.when - datetime(1899, 12, 30, tzinfo=UTC)) / timedelta(days=1)
    header = {
        "Beam_energy": round(images.HIGH_TENSION * 1e3),
        "Camera_length": round(camera_length * 100),  # in 0.1 mm
        "Acquisition_time": days,
        "Note": f"{microscope.sample_name(shot.seed)}, precession 0.8 deg",
    }
    tree = microscope.metadata(shot, shot.path.stem, signal_type="diffraction", area=2)
    data = np.clip(patterns, 0, 255).astype(np.uint8)
    blockfile.file_writer(str(shot.path), signal(data, axes, tree, {"blockfile_header": header}), navigator=None)


def scanned_diffraction(shot: Shot) -> None:
    """4D-STEM of the same boundary with a convergent beam, kept by HyperSpy as zipped .zspy."""
    steps, size, step, pixel = 12, 128, 8.0, 0.12
    disc = DISC_CONVERGENCE * 1e-3 / wavelength(images.HIGH_TENSION)
    patterns = diffraction.scan(chance(shot), _two_crystals(steps), size, pixel, disc, 5e4)
    axes = (
        UniformAxis("y", steps, step, "nm", navigate=True),
        UniformAxis("x", steps, step, "nm", navigate=True),
        UniformAxis("ky", size, pixel, "1/nm", offset=-size / 2 * pixel),
        UniformAxis("kx", size, pixel, "1/nm", offset=-size / 2 * pixel),
    )
    tree = microscope.metadata(
        shot,
        shot.path.stem,
        signal_type="electron_diffraction",
        area=2,
        acquisition_mode="STEM",
        convergence_angle=DISC_CONVERGENCE,
        camera_length=microscope.STEM_CAMERA_LENGTH,
    )
    # A zip archive cannot replace a member, and the writer rewrites attributes as it goes: into memory first.
    members: dict[str, bytes] = {}
    # Blosc, the writer's own choice, uses threads and gives other bytes from run to run.
    zspy.file_writer(members, signal(counts(patterns), axes, tree), compressor=numcodecs.Zstd(level=1))
    with zipfile.ZipFile(shot.path, "w") as archive:
        for name in sorted(members):
            archive.writestr(zipfile.ZipInfo(name, shot.when.timetuple()[:6]), bytes(members[name]))
