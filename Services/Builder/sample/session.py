"""The session: which files it consists of, in the order in which the operator leaves them.

Survey, X-ray mapping, energy losses, diffraction, then last images and the notes. The folders are the operator's.
"""

from __future__ import annotations

from functools import partial

from PIL import Image

from Services.Builder.sample import image_files, microscope, pictures, spectrum_files
from Services.Builder.sample.plan import Planned, Shot
from Services.Builder.sample.sem import write_sem

_DATE_TAKEN = 0x9003  # DateTimeOriginal, in the EXIF sub-directory
_EXIF, _MODEL = 0x8769, 0x0110


def photo(shot: Shot) -> None:
    """Photograph of the grid in the holder, with the camera's EXIF data."""
    exif = Image.Exif()
    exif[_MODEL] = "Stereo microscope camera"
    exif.get_ifd(_EXIF)[_DATE_TAKEN] = f"{shot.when:%Y:%m:%d %H:%M:%S}"
    Image.fromarray(pictures.grid_photo(image_files.chance(shot))).save(shot.path, quality=88, exif=exif)


def power_spectrum(shot: Shot) -> None:
    """Fourier transform of the high-resolution image whose name this one begins with, saved from the screen."""
    subject = shot.path.stem.removesuffix("_FFT")
    data = image_files.lattice_image(shot, subject, 1024, image_files.FINE, image_files.SCHERZER)
    Image.fromarray(pictures.power_spectrum(data.astype(float))[256:768, 256:768]).save(shot.path)


def notes(shot: Shot) -> None:
    """Write the operator's notes."""
    shot.path.write_text(
        f"{microscope.sample_name(shot.seed)}    {shot.when:%Y-%m-%d %H:%M}    {microscope.OPERATOR}\n"
        f"{microscope.NAME}, 200 kV, double-tilt holder. Lacey carbon on Cu 200 mesh, looked at in the Helios before.\n"
        "\n"
        "survey    square D4: particles well dispersed. area1 = single particle, area2 = thin edges.\n"
        "area1     EDS: Mn up and Ni down in the rim? Cu is the grid. map2 is twice as long as map1.\n"
        "          EELS: O K pre-peak (529 eV) missing within 5 nm of the surface -> rock salt layer.\n"
        "area2     SAED [100], camera length 560 mm. 003 at 0.473 nm. Powder rings from the crushed part.\n"
        "          HRTEM near Scherzer (-67 nm); beam damage visible after about 2 min.\n"
        "\n"
        "Next time: low-loss map with the monochromator.\n",
        encoding="utf-8",
    )


_i, _s = image_files, spectrum_files

BURSTS: tuple[tuple[Planned, ...], ...] = (
    (
        Planned("survey/grid_in_holder.jpg", photo),
        Planned("survey/SEM_001.tif", partial(write_sem, field=120.0)),
        Planned("survey/SEM_002.tif", partial(write_sem, field=40.0)),
        Planned("survey/SEM_003.tif", partial(write_sem, field=20.0)),
        Planned("survey/HAADF_survey_001.emd", partial(_i.haadf_emd, area=0, pixel=8.0)),
        Planned("survey/HAADF_survey_002.emd", partial(_i.truncated, area=0, pixel=4.0), corrupt=True),
        Planned("survey/HAADF_survey_003.emd", partial(_i.haadf_emd, area=1, pixel=8.0)),
        Planned("survey/BF_survey_001.dm3", partial(_i.bright_field, area=0, pixel=6.0)),
        Planned("survey/BF_survey_002.dm3", partial(_i.bright_field, area=2, pixel=3.0)),
    ),
    (
        Planned("area1/EDS/HAADF_before.dm3", partial(_i.haadf, area=1, pixel=2.0)),
        Planned("area1/EDS/spot1_particle.msa", _s.xray_msa),
        Planned("area1/EDS/spot2_particle.msa", _s.xray_msa),
        Planned("area1/EDS/spot3_film.msa", partial(_s.xray_msa, film=True)),
        Planned("area1/EDS/EDS_spectrum.dm3", _s.xray_dm3),
        Planned("area1/EDS/map1.rpl", _s.xray_ripple, companions=(".raw",)),
        Planned("area1/EDS/map2.hspy", _s.xray_hspy),
        Planned("area1/EDS/HAADF_after.dm3", partial(_i.haadf, area=1, pixel=2.0)),
    ),
    (
        Planned("area1/EELS/HAADF_reference.dm3", partial(_i.haadf, area=1, pixel=1.0)),
        Planned("area1/EELS/lowloss_001.dm3", partial(_s.low_loss, exposure=0.002, frames=50)),
        Planned("area1/EELS/lowloss_002.dm3", partial(_s.low_loss, exposure=0.002, frames=100)),
        Planned("area1/EELS/core_001_bulk.dm3", partial(_s.core_loss, rim=0.0)),
        Planned("area1/EELS/core_002_surface.dm3", partial(_s.core_loss, rim=1.0)),
        Planned("area1/EELS/core_003_bulk.msa", _s.core_loss_msa),
        Planned("area1/EELS/SI_surface.dm3", _s.core_loss_map),
        Planned("area1/EELS/t_over_lambda.nxs", _s.thickness_map),
    ),
    (
        Planned("area2/diffraction/BF_aperture.dm3", partial(_i.bright_field, area=2, pixel=1.5)),
        Planned("area2/diffraction/SAED_001_tilting.dm3", partial(_i.selected_area, tilt=12.0)),
        Planned("area2/diffraction/SAED_002_zone100.dm3", partial(_i.selected_area, tilt=0.0)),
        Planned("area2/diffraction/SAED_003_powder.dm3", partial(_i.selected_area, tilt=None)),
        Planned("area2/diffraction/SAED_004_powder.dm3", partial(_i.selected_area, tilt=None)),
        Planned("area2/diffraction/precession.blo", _i.precession),
        Planned("area2/diffraction/4DSTEM_boundary.zspy", _i.scanned_diffraction),
        Planned("area2/diffraction/beam_damage_000.tvips", _i.movie),
    ),
    (
        Planned("area2/HRTEM/HRTEM_001.dm3", _i.high_resolution),
        Planned("area2/HRTEM/HRTEM_002.dm3", _i.high_resolution),
        Planned("area2/HRTEM/HRTEM_003.dm3", _i.high_resolution),
        Planned("area2/HRTEM/HRTEM_003.tif", _i.exported),
        Planned("area2/HRTEM/HRTEM_003_FFT.png", power_spectrum),
        Planned("area2/HRTEM/focal_series.mrc", _i.focal_series),
        Planned("area2/HRTEM/BF_last.dm3", partial(_i.bright_field, area=2, pixel=1.5)),
        Planned("notes.txt", notes),
    ),
)
"""The plan, with the damaged file that is left out unless asked for."""
