"""Rows of NEMO's API as reservations.

A reservation that was moved or shortened has a successor (``descendant``) and counts as cancelled, as does one that
was missed. Answers are read from ``user_input`` alone: what else a question holds are its own words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from NexusCore.clock import to_ts
from NexusCore.facility import Instrument, Reservation
from NexusCore.facility.reservations import BookedSample
from Services.Harvester.sources import source_of
from Services.Harvester.sources.nemo.instances import Instance, Questions
from Services.Harvester.sources.text import MOST_SAMPLES, line, text

NemoRow = dict[str, Any]
_LONGEST_ELEMENT = 40


def uid_of(url: str, what: str, number: object) -> str:
    """Return the address that the API of an instance has for a row."""
    return f"{url}/api/{what}/?id={number}"


def numbers_in(uids: Iterable[str], url: str, what: str) -> set[int]:
    """Return the numbers of the rows that are of this instance, as `uid_of` has made their addresses."""
    begin = uid_of(url, what, "")
    return {int(uid.removeprefix(begin)) for uid in uids if uid.startswith(begin)}


def _of_reservation(row: NemoRow, uid: str, instance: Instance, instrument: Instrument, _horizon: int) -> Reservation:
    answers, names = row.get("question_data") or {}, instance.questions
    gone = row.get("cancelled") or row.get("missed") or row.get("shortened") or row.get("descendant") is not None
    user, account = _person(row.get("user"))
    return Reservation(
        source=source_of("nemo", instrument),
        uid=uid,
        instrument=instrument.pid,
        start_ts=_ts(row["start"]),
        end_ts=_ts(row["end"]),
        cancelled=bool(gone),
        title=line(_answer_to(answers, names.title)) or line(row.get("title")),
        user=user,
        user_id=account,
        purpose=text(_answer_to(answers, names.purpose)),
        samples=_samples(answers, names),
        project=_of_project(row, "name"),
        project_id=line(_answer_to(answers, names.project)) or _of_project(row, "application_identifier"),
        reservation_id=str(row["id"]),
        url=f"{instance.url}/event_details/reservation/{row['id']}/",
        consent=_consent(answers, names),
    )


def _of_usage_event(row: NemoRow, uid: str, instance: Instance, instrument: Instrument, horizon: int) -> Reservation:
    answers, names = {**_answers(row.get("pre_run_data")), **_answers(row.get("run_data"))}, instance.questions
    user, account = _person(row.get("user"))
    operator, _ = _person(row.get("operator"))
    start = _ts(row["start"])
    return Reservation(
        source=source_of("nemo", instrument),
        uid=uid,
        instrument=instrument.pid,
        start_ts=start,
        end_ts=max(horizon, start + 1) if row["end"] is None else _ts(row["end"]),
        title=line(_answer_to(answers, names.title)),
        user=user,
        user_id=account,
        collaborators=(operator,) if operator and operator != user else (),
        purpose=text(_answer_to(answers, names.purpose)),
        samples=_samples(answers, names),
        project=_of_project(row, "name"),
        project_id=line(_answer_to(answers, names.project)) or _of_project(row, "application_identifier"),
        url=f"{instance.url}/event_details/usage/{row['id']}/",
        consent=_consent(answers, names),
        usage=True,
        ongoing=row["end"] is None,
    )


ROW_READERS: Mapping[str, Callable[[NemoRow, str, Instance, Instrument, int], Reservation]] = {
    "reservations": _of_reservation,
    "usage_events": _of_usage_event,
}
"""Makes a reservation of a row, given its address, its instance and instrument, and the end of ongoing uses."""


def _ts(moment: str) -> int:
    return to_ts(datetime.fromisoformat(moment))


def _person(who: Any) -> tuple[str | None, str | None]:
    """Return name and account of a user."""
    if not isinstance(who, dict):
        return None, None
    account = line(who.get("username"))
    name = line(f"{who.get('first_name') or ''} {who.get('last_name') or ''}")
    return name or account, account


def _of_project(row: NemoRow, name: str) -> str | None:
    project = row.get("project")
    return line(project.get(name)) if isinstance(project, dict) else None


# -- answers ------------------------------------------------------------------------------------------------------


def _answers(data: Any) -> dict[str, Any]:
    """Return the answers given at the instrument, which NEMO keeps as JSON in a text."""
    if isinstance(data, str) and data.strip():
        data = json.loads(data)
    return data if isinstance(data, dict) else {}


def _answer_to(answers: dict[str, Any], name: str) -> Any:
    question = answers.get(name)
    return question.get("user_input") if isinstance(question, dict) else None


def _consent(answers: dict[str, Any], names: Questions) -> bool | None:
    answer = line(_answer_to(answers, names.consent))
    return None if answer is None else answer.casefold() == names.consent_yes.strip().casefold()


def _samples(answers: dict[str, Any], names: Questions) -> tuple[BookedSample, ...]:
    """Return the samples of a group, which is keyed by number, perhaps with gaps."""
    group = _answer_to(answers, names.samples)
    if not isinstance(group, dict):
        return ()
    keys = sorted(group, key=lambda key: (not key.isdecimal(), int(key) if key.isdecimal() else 0, key))
    return tuple(_described([group[key] for key in keys[:MOST_SAMPLES]], names))


def _described(group: list[Any], names: Questions) -> Iterator[BookedSample]:
    for sample in group:
        if not isinstance(sample, dict):
            continue
        name, details = line(sample.get(names.sample_name)), text(sample.get(names.sample_details))
        is_pid = (line(sample.get(names.sample_kind)) or "").casefold() == names.sample_kind_pid.strip().casefold()
        elements = sample.get(names.sample_elements)
        symbols = [line(element, _LONGEST_ELEMENT) for element in elements] if isinstance(elements, list) else []
        if name or details or symbols:
            yield BookedSample(
                None if is_pid else name, name if is_pid else None, details, tuple(filter(None, symbols))
            )
