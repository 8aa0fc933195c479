"""The only folder that a process which reads instrument files may write, and the delivery of its files.

The process gets its job with paths in that folder; the parent copies the reported files from there, if they are
regular files of a bounded size, to their places.
"""

from __future__ import annotations

import os
import shutil
import stat
from dataclasses import replace
from pathlib import Path

from NexusCore.files import InTheWay, open_below, write_below
from NexusCore.resources import is_disk_full
from Services.Builder.extraction.extractors.faults import failure_sentence
from Services.Builder.extraction.jobs import Job
from Services.Builder.extraction.scratch_folder import ScratchFolder
from Services.Builder.model import Extraction

LARGEST_RESULT = 64 * 1024 * 1024
"""Bytes of a preview or of a file's metadata."""
_MADE = "made"


class Scratch:
    """A temporary folder for one process; `remove` takes it away."""

    def __init__(self) -> None:
        self._own = ScratchFolder()
        self.folder = self._own.path
        self._made = self.folder / _MADE
        self._made.mkdir()

    def remove(self) -> None:
        """Remove the folder, with all that is in it."""
        self._own.remove()

    def job(self, job: Job) -> Job:
        """Return the job as the process gets it: its files go into the scratch folder."""
        return replace(
            job,
            records=None,
            preview=self._made / job.preview.name if job.preview is not None else None,
            metadata=self._made / job.metadata.name if job.metadata is not None else None,
        )

    def deliver(self, extraction: Extraction, job: Job) -> Extraction:
        """Return the extraction with its files moved to where the job wants them."""
        result = replace(extraction, path=job.path, preview=None, metadata_json=None, further_previews=())
        if job.metadata is not None and extraction.metadata_json is not None:
            result, put = self._put(result, job, job.metadata, "The metadata could not be", "written as JSON")
            result = replace(result, metadata_json=job.metadata) if put else result
        if job.preview is not None and extraction.preview is not None:
            result, put = self._put(result, job, job.preview, "No preview could be", "drawn")
            result = replace(result, preview=job.preview) if put else result
        for further in extraction.further_previews:
            if job.preview is not None and _is_further(further, job.preview):
                target = job.preview.with_name(further.name)
                result, put = self._put(result, job, target, "No preview of another signal could be", "drawn")
                result = replace(result, further_previews=(*result.further_previews, target)) if put else result
        shutil.rmtree(self._made, ignore_errors=True)
        self._made.mkdir(exist_ok=True)
        return result

    def _put(self, extraction: Extraction, job: Job, target: Path, subject: str, verb: str) -> tuple[Extraction, bool]:
        """Put one file where it belongs; return the extraction, warned if that fails, and whether it succeeded."""
        try:
            write_below(job.records or target.parent, target, self._content(target.name))
        except (OSError, ValueError, InTheWay) as error:
            full = is_disk_full(error)
            warned = replace(
                extraction,
                warnings=(*extraction.warnings, failure_sentence(subject, verb, error)),
                whole=extraction.whole and not full,
                disk_full=extraction.disk_full or full,
            )
            return warned, False
        return extraction, True

    def _content(self, name: str) -> bytes:
        folder = os.open(self.folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            descriptor = open_below(folder, (_MADE, name))
        finally:
            os.close(folder)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ValueError("it is not a regular file")
            content = file.read(LARGEST_RESULT + 1)
        if len(content) > LARGEST_RESULT:
            raise ValueError(f"it has more than {LARGEST_RESULT} bytes")
        return content


def _is_further(path: Path, preview: Path) -> bool:
    """Return whether a name is one that previews of a file's other signals get."""
    return path.name != preview.name and path.name.startswith(f"{preview.stem}.")
