"""Notes, logs and settings: files of plain text."""

from __future__ import annotations

from Services.Builder.extraction.extractors.registry import FormatSpec

SPEC = FormatSpec(
    name="plain text",
    extensions=(
        *(".txt", ".text", ".log", ".md", ".rst", ".asc", ".dat"),
        *(".csv", ".tsv", ".xml", ".json", ".yaml", ".yml", ".ini", ".cfg", ".conf", ".hdr"),
    ),
    priority=10,
    description="Notes and logs; also tables and settings that no other format recognises",
)
