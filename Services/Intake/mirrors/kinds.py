"""The kinds of mirrors."""

from __future__ import annotations

from collections.abc import Callable

from Services.Intake.mirrors import Mirror
from Services.Intake.mirrors.bucket import BucketMirror
from Services.Intake.mirrors.directory import DirectoryMirror
from Services.Intake.mirrors.rsync import RsyncMirror
from Services.Intake.settings import MirrorSettings


def make_mirror(settings: MirrorSettings, stop: Callable[[], bool]) -> Mirror:
    """Return a mirror.

    Parameters
    ----------
    settings
        What the configuration says of it.
    stop
        Whether the service is to end: copies that take long are then given up.
    """
    if settings.bucket is not None:
        return BucketMirror(settings.name, settings.bucket, stop)
    if settings.kind == "rsync":
        return RsyncMirror(settings, stop)
    return DirectoryMirror(settings, stop)
