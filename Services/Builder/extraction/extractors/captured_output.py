"""Captures warnings, logs and output of foreign readers, so that none reaches a terminal or a log file."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field

from Services.Builder.extraction.extractors.cleaning import one_line

_FOREIGN = (
    "rsciio",
    "tifffile",
    "h5py",
    "PIL",
    "matplotlib",
    "dask",
    "zarr",
    "numba",
    "imageio",
    "fontTools",
    "hyperspy",
    "exspy",
)
_ABOUT_CODE = (ResourceWarning, DeprecationWarning, PendingDeprecationWarning, FutureWarning, ImportWarning)
_MOST_MESSAGES = 50


@dataclass(slots=True)
class CapturedOutput:
    """Output of the readers, in order, each remark once."""

    remarks: list[str] = field(default_factory=list)
    """Warnings about the file: for the person who reads the record."""
    messages: list[str] = field(default_factory=list)
    """Everything, log lines too: for the JSON beside the preview."""


class _Collector(logging.Handler):
    def __init__(self, captured: CapturedOutput) -> None:
        super().__init__(logging.INFO)
        self._captured = captured

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(Exception):  # a reader's broken format string is not worth reporting
            _add(self._captured.messages, f"{record.levelname} {record.name}: {record.getMessage()}")


def _add(to: list[str], text: object) -> None:
    line = one_line(text)
    if line and line not in to and len(to) < _MOST_MESSAGES:
        to.append(line)


@contextlib.contextmanager
def capture_output() -> Iterator[CapturedOutput]:
    """Collect warnings, the log records of the reading libraries and what they print, until the block is left.

    Loggers are put back as they were; those of the project itself are not touched.
    """
    captured = CapturedOutput()
    collector = _Collector(captured)
    loggers = [logging.getLogger(name) for name in _FOREIGN]
    before = [(logger.handlers, logger.propagate) for logger in loggers]
    printed = io.StringIO()
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        try:
            for logger in loggers:
                logger.handlers, logger.propagate = [collector], False
            yield captured
        finally:
            for logger, (handlers, propagate) in zip(loggers, before, strict=True):
                logger.handlers, logger.propagate = handlers, propagate
            for warning in caught:
                if not issubclass(warning.category, _ABOUT_CODE):
                    _add(captured.messages, f"{warning.category.__name__}: {warning.message}")
                    if issubclass(warning.category, UserWarning):
                        _add(captured.remarks, warning.message)
            for line in printed.getvalue().splitlines():
                _add(captured.messages, line)
