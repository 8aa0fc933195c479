"""What single vendors' files hold beyond the conventions, and where their readers keep to other units.

A `Vendor` per program that writes the files, in the module of its kind. The paths are those of the reader's original
metadata; the units are the vendor's, each from the file format's description or, where there is none, from files whose
values are known. A new module is added to `VENDORS` here.
"""

from __future__ import annotations

from dataclasses import replace

from Services.Builder.extraction.extractors.rosettasciio.vendors import (
    cathodoluminescence,
    diffraction,
    gatan,
    light,
    nexus,
    others,
    thermo_fisher,
    tiff,
    x_rays,
)
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor

VENDORS: tuple[Vendor, ...] = (
    *gatan.VENDORS,
    *thermo_fisher.VENDORS,
    *tiff.VENDORS,
    *light.VENDORS,
    *cathodoluminescence.VENDORS,
    *x_rays.VENDORS,
    *diffraction.VENDORS,
    *nexus.VENDORS,
    *others.VENDORS,
)
_CONTAINERS = ("HSPY", "ZSPY")
"""HyperSpy's formats, which keep the original metadata of the file that a signal came from."""


def vendors_for(plugin: str, original: Tree) -> tuple[tuple[Vendor, Tree], ...]:
    """Return the entries that apply to a signal, each with its tree; a general one if no other does."""
    if plugin in _CONTAINERS:
        return _kept(original)
    trees = [(vendor, vendor.tree(original)) for vendor in VENDORS if vendor.plugin == plugin]
    applying = tuple((vendor, tree) for vendor, tree in trees if tree is not None)
    return tuple(vendor for vendor in applying if vendor[0].holds) or applying


def _kept(original: Tree) -> tuple[tuple[Vendor, Tree], ...]:
    """Return the entries whose marks are in the original metadata; the format stays that of the file itself."""
    marked = [vendor for vendor in VENDORS if vendor.holds or "" not in vendor.root]
    trees = [(replace(vendor, format=None), vendor.tree(original)) for vendor in marked]
    return tuple((vendor, tree) for vendor, tree in trees if tree is not None)
