"""The NEMOs of a facility, the tools in their addresses, and the names of their questions."""

from __future__ import annotations

import re
from dataclasses import dataclass

from NexusCore.facility import Instrument
from Services.Harvester.sources.web import Token

_TOOL = re.compile(r"/tools/(?:\?(?:.*&)?id=)?(\d+)\b")


@dataclass(frozen=True, slots=True)
class Questions:
    """Names of the questions that a facility's reservations ask, and of the answers with a meaning."""

    title: str = "experiment_title"
    purpose: str = "experiment_purpose"
    project: str = "project_id"
    consent: str = "data_consent"
    consent_yes: str = "Agree"
    """The answer that agrees; any other one does not."""
    samples: str = "sample_group"
    sample_name: str = "sample_name"
    sample_kind: str = "sample_or_pid"
    sample_kind_pid: str = "PID"
    """The answer that says that a sample's name is a persistent identifier."""
    sample_details: str = "sample_details"
    sample_elements: str = "periodic_table"


@dataclass(frozen=True, slots=True)
class Instance:
    """A NEMO."""

    name: str
    url: str
    """Its address, without ``/api`` and the last slash."""
    token: Token | None
    questions: Questions


def tool_of(instrument: Instrument) -> int | None:
    """Return the number of the tool in an instrument's address."""
    match = _TOOL.search(instrument.api_url)
    return int(match[1]) if match else None
