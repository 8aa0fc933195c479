"""Everything the package RosettaSciIO reads: some forty vendors' formats, listed in `declared`."""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import FormatSpec
from Services.Builder.extraction.extractors.rosettasciio.beside import names
from Services.Builder.extraction.extractors.rosettasciio.declared import DECLARED_READERS
from Services.Builder.extraction.extractors.rosettasciio.vendors import VENDORS

SPEC = FormatSpec(
    name="RosettaSciIO",
    extensions=tuple(sorted({extension for reader in DECLARED_READERS for extension in reader.extensions})),
    priority=100,
    description="All formats of the RosettaSciIO package, each by its own reader",
    names=names,
    covers=tuple(
        FormatSpec(name, reader.extensions, reader=f"rosettasciio ({reader.plugin})")
        for reader in DECLARED_READERS
        for name in (
            reader.name,
            *(vendor.format for vendor in VENDORS if vendor.plugin == reader.plugin and vendor.format),
        )
    ),
)
