"""Draws a contact sheet in a process that reads instrument files: it decodes pictures that such a process has drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from NexusCore.files import write_below
from Services.Builder.extraction.jobs import Job
from Services.Builder.model import Extraction


def draw_sheet(job: Job) -> Iterator[Extraction]:
    """Yield one extraction, whose preview is the contact sheet of the job."""
    from Services.Builder.preview.sheet import png

    assert job.sheet is not None and job.preview is not None  # noqa: S101 - the caller has looked
    write_below(job.preview.parent, job.preview, png(job.sheet))
    yield replace(Extraction(job.path, "contact sheet", "Unknown", "Unknown"), preview=job.preview)
