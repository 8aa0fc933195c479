"""Reads OME-XML: sizes of pixels, steps of time and depth, channels, objective, detector and date.

Elements and units are those of the OME model's schema of June 2016: a length whose unit is not given is in micrometres
(``PhysicalSizeXUnit``), a time in seconds, a wavelength in nanometres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from math import inf
from pathlib import Path

from lxml import etree

from Services.Builder.extraction.extractors import tiff_directory
from Services.Builder.extraction.extractors.quantities import dimension, factor, quantity, symbol
from Services.Builder.extraction.extractors.rosettasciio.read import read_by
from Services.Builder.extraction.extractors.safe_xml import nested, parsed
from Services.Builder.extraction.extractors.settings import number
from Services.Builder.extraction.extractors.signal import Axis, Reading, Signal
from Services.Builder.model import Quantity

_AXES = {"width": "X", "height": "Y", "depth": "Z", "time": "T"}
"""Dimension of the OME model by the name of an axis that RosettaSciIO gives."""
_STEPS: dict[str, tuple[str, str | None]] = {
    "T": ("TimeIncrement", "s"),
    **{axis: (f"PhysicalSize{axis}", "µm") for axis in "XYZ"},
}
"""Attribute and default unit of the step of a dimension."""


def read(path: Path, companions: Sequence[Path] = ()) -> Reading:
    """Read the images with RosettaSciIO and their conditions from the description."""
    reading = read_by("TIFF", path)
    root = parsed(tiff_directory.text(path, tiff_directory.IMAGE_DESCRIPTION))
    images = [] if root is None else list(root.iter("{*}Image"))
    if root is None or not images:
        return replace(reading, format="OME-TIFF")
    # a series is an image, in their order; where the numbers differ, only the first is sure
    matched = len(images) == len(reading.signals)
    signals = tuple(
        _calibrated(signal, images[at if matched else 0], root) if matched or at == 0 else signal
        for at, signal in enumerate(reading.signals)
    )
    main = replace(reading, signals=signals).main
    image = images[signals.index(main)] if matched and main in signals else images[0]
    found = conditions(image, root)
    return replace(
        reading,
        format="OME-TIFF",
        signals=signals,
        meta={**reading.meta, **{name: value for name, value in found.items() if value is not None}},
        acquired=_time(image) or reading.acquired,
    )


def conditions(image: etree._Element, root: etree._Element) -> dict[str, Quantity | None]:
    """Return what is known about an image, by display name.

    Parameters
    ----------
    image
        An element ``Image``.
    root
        The element ``OME``, which holds what images refer to: instruments, experimenters.
    """
    pixels = image.find("{*}Pixels")
    channels = [] if pixels is None else pixels.findall("{*}Channel")
    planes = [] if pixels is None else pixels.findall("{*}Plane")
    instrument = _referred(image, root, "Instrument")
    microscope = None if instrument is None else instrument.find("{*}Microscope")
    objective = _referred(image, root, "ObjectiveSettings", "Objective")
    if objective is None:
        objective = _referred(image, root, "Objective")
    magnification = _of(objective, "CalibratedMagnification") or _of(objective, "NominalMagnification")
    camera, setting = _detector(channels, root)
    stage = image.find("{*}StageLabel")
    place = stage if stage is not None else (planes[0] if planes else None)
    prefix = "" if stage is not None else "Position"
    return {
        "Instrument": quantity("Instrument", _named(microscope)),
        "Serial Number": quantity("Serial Number", _of(microscope, "SerialNumber")),
        "Operator": quantity("Operator", _experimenter(image, root)),
        "Comment": quantity("Comment", _text(image, "Description")),
        "Software": quantity("Software", root.get("Creator")),
        "Signal Name": quantity("Signal Name", image.get("Name")),
        "Objective": quantity("Objective", _named(objective)),
        "Objective Magnification": quantity("Objective Magnification", magnification),
        "Numerical Aperture": quantity("Numerical Aperture", _of(objective, "LensNA")),
        "Detector": quantity("Detector", _named(camera)),
        "Detector Gain": quantity("Detector Gain", _of(setting, "Gain") or _of(camera, "Gain")),
        "Binning": quantity("Binning", (_of(setting, "Binning") or "").replace("x", " × ")),
        "Channels": quantity("Channels", [name for channel in channels if (name := channel.get("Name"))]),
        **_wavelengths(channels),
        **_exposure(planes),
        **{name: _step(pixels, axis, name) for name, axis in (("Z Step", "Z"), ("Frame Interval", "T"))},
        **{
            # without a unit it is a place in some frame of reference
            f"Stage {axis}": _measured(place, f"{prefix}{axis}", f"Stage {axis}", None)
            for axis in "XYZ"
        },
    }


def _calibrated(signal: Signal, image: etree._Element, root: etree._Element) -> Signal:
    """Return the signal with the sizes that the image states for its axes."""
    pixels = image.find("{*}Pixels")
    axes = tuple(axis if pixels is None else _scaled(axis, pixels) for axis in signal.axes)
    return replace(signal, axes=axes, original_metadata={**signal.original_metadata, "ome": _tree(image, root)})


def _scaled(axis: Axis, pixels: etree._Element) -> Axis:
    attribute, unit = _STEPS.get(_AXES.get(axis.name.lower(), ""), ("", None))
    step = number(pixels.get(attribute)) if attribute else 0.0
    # "pixel" and "reference frame" are units of the model, too
    stated = pixels.get(f"{attribute}Unit")
    unit = unit if stated is None else symbol(stated)
    return replace(axis, scale=step, offset=0.0, unit=unit) if 0 < step < inf and dimension(unit) else axis


def _step(pixels: etree._Element | None, axis: str, name: str) -> Quantity | None:
    attribute, unit = _STEPS[axis]
    return None if pixels is None else _measured(pixels, attribute, name, unit)


def _measured(element: etree._Element | None, attribute: str, name: str, default: str | None) -> Quantity | None:
    """Return an attribute in the unit beside it; one that is no unit of what is measured (reference frame) is none."""
    value = _of(element, attribute)
    stated = _of(element, f"{attribute}Unit")
    unit = default if stated is None else symbol(stated)
    if value is None or unit is None or factor(unit, "m") is factor(unit, "s") is None:
        return None
    return quantity(name, value, unit)


def _wavelengths(channels: Sequence[etree._Element]) -> dict[str, Quantity | None]:
    """Return the wavelengths where there is but one channel, to which they belong."""
    channel = channels[0] if len(channels) == 1 else None
    return {
        f"{kind} Wavelength": _measured(channel, f"{kind}Wavelength", f"{kind} Wavelength", "nm")
        for kind in ("Excitation", "Emission")
    }


def _exposure(planes: Sequence[etree._Element]) -> dict[str, Quantity | None]:
    """Return the time each plane was exposed, where it is the same for all."""
    times = {(plane.get("ExposureTime"), plane.get("ExposureTimeUnit")) for plane in planes}
    one = planes[0] if len(times) == 1 else None
    return {"Exposure Time": _measured(one, "ExposureTime", "Exposure Time", "s")}


def _detector(
    channels: Sequence[etree._Element], root: etree._Element
) -> tuple[etree._Element | None, etree._Element | None]:
    """Return the detector and its settings, where all channels have the same."""
    settings = [setting for channel in channels if (setting := channel.find("{*}DetectorSettings")) is not None]
    if not settings or len({setting.get("ID") for setting in settings}) > 1:
        return None, None
    return _by_id(root, settings[0].get("ID")), settings[0]


def _referred(image: etree._Element, root: etree._Element, *kinds: str) -> etree._Element | None:
    """Return what an image refers to by ``<InstrumentRef ID="..."/>`` or ``<ObjectiveSettings ID="..."/>``."""
    for reference in (f"{kinds[0]}Ref", kinds[0]):
        element = image.find(f"{{*}}{reference}")
        if element is not None:
            return _by_id(root, element.get("ID"))
    return None


def _by_id(root: etree._Element, identifier: str | None) -> etree._Element | None:
    """Return the element that is not itself a reference."""
    if not identifier:
        return None
    kinds = ("Instrument", "Objective", "Detector", "Experimenter")
    return next(
        (element for kind in kinds for element in root.iter(f"{{*}}{kind}") if element.get("ID") == identifier), None
    )


def _experimenter(image: etree._Element, root: etree._Element) -> str | None:
    person = _referred(image, root, "Experimenter")
    full = " ".join(name for key in ("FirstName", "LastName") if (name := _of(person, key)))
    return full or _of(person, "UserName") or _of(person, "DisplayName")


def _named(element: etree._Element | None) -> str | None:
    parts = [_of(element, key) for key in ("Manufacturer", "Model")]
    return " ".join(part for part in parts if part) or None


def _of(element: etree._Element | None, attribute: str) -> str | None:
    return None if element is None else element.get(attribute)


def _text(element: etree._Element, name: str) -> str | None:
    found = element.find(f"{{*}}{name}")
    return None if found is None else found.text


def _time(image: etree._Element) -> datetime | None:
    """Return ``AcquisitionDate``, which is ISO 8601, by the instrument's clock where it has no zone."""
    text = (_text(image, "AcquisitionDate") or image.get("AcquiredDate") or "").strip()
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _tree(image: etree._Element, root: etree._Element) -> dict[str, object]:
    pixels = image.find("{*}Pixels")
    return {
        "Creator": root.get("Creator"),
        "Image": _attributes(image),
        "Pixels": {} if pixels is None else _attributes(pixels),
        **nested(image),
    }


def _attributes(element: etree._Element) -> dict[str, str]:
    return {str(name): str(value) for name, value in element.attrib.items()}
