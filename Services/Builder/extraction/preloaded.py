"""The modules that reading files needs and that take long to import.

A process that others are forked from imports them once, before it is confined. HyperSpy and exspy are imported by the
functions of `signals.libraries`, which keep them from the home folder: never import them by their names.
"""

from __future__ import annotations

from importlib import import_module

PRELOADED = (
    "numpy",
    "dask.array",
    "dask.base",
    "scipy.ndimage",
    "scipy.optimize",
    "PIL.Image",
    "matplotlib.figure",
    "matplotlib.backends.backend_agg",
    "pint",
    "Services.Builder.extraction.extract",
    "Services.Builder.extraction.extractors.rosettasciio.read",
    "Services.Builder.preview.pictures",
    "Services.Builder.preview.plots",
    "Services.Builder.preview.element_maps",
    "Services.Builder.extraction.signals.computed",
    "Services.Builder.extraction.signals.maps",
)
"""In this order."""


def preload() -> None:
    """Import all of them, HyperSpy and exspy without their side effects, and read the time zones."""
    for name in PRELOADED:
        import_module(name)
    from dateutil.zoneinfo import get_zonefile_instance

    from Services.Builder.extraction.signals.libraries import exspy, hyperspy

    get_zonefile_instance()
    hyperspy()
    exspy()
