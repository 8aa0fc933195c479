"""What single vendors' files hold beyond the conventions, and where their readers keep to other units.

A `Vendor` per program that writes the files, in the module of its kind. The paths are those of the reader's original
metadata; the units are the vendor's, each from the file format's description or, where there is none, from files whose
values are known. A new module is added to `VENDORS` here.
"""

from __future__ import annotations

from Services.Builder.extraction.extractors.rosettasciio.vendors import (
    cathodoluminescence,
    gatan,
    light,
    others,
    thermo_fisher,
    tiff,
)
from Services.Builder.extraction.extractors.rosettasciio.vendors.vendor import Tree, Vendor

VENDORS: tuple[Vendor, ...] = (
    *gatan.VENDORS,
    *thermo_fisher.VENDORS,
    *tiff.VENDORS,
    *light.VENDORS,
    *cathodoluminescence.VENDORS,
    *others.VENDORS,
)


def vendors_for(plugin: str, original: Tree) -> tuple[tuple[Vendor, Tree], ...]:
    """Return the entries that apply to a signal, each with its tree; a general one if no other does."""
    trees = [(vendor, vendor.tree(original)) for vendor in VENDORS if vendor.plugin == plugin]
    applying = tuple((vendor, tree) for vendor, tree in trees if tree is not None)
    return tuple(vendor for vendor in applying if vendor[0].holds) or applying
