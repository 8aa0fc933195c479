"""A log as large as a facility's after some months, with what is common in it and what is rare."""

from __future__ import annotations

import random
from collections.abc import Iterator

from NexusCore.clock import SECOND
from NexusCore.log.store import LOG_COLUMNS
from NexusCore.storage import Database
from NexusCore.storage.transaction import Row

HOUR = 3600 * SECOND
LOGGERS = ("Builder", "Harvester", "Uploader", "Camera", "Titan", "JEM", "Vacuum", "Stage", "Gateway", "Intake")
RARE_LOGGER, RARE_HOST, RARE_LEVEL = "ColdFinger", "loan-microscope", 50
HOSTS = tuple(f"pc-{number:02}" for number in range(12))
MODULES = tuple(f"module{number:02}" for number in range(40))
LEVELS, SHARES = (10, 20, 30, 40), (30, 60, 8, 2)
VERBS = ("moved", "read", "wrote", "checked", "acquired", "compressed", "found", "closed")
LINES_PER_SESSION = 500
BATCH = 10_000
NEWEST_HOUR = 20_000
"""Lines in the last hour; those before it are spread over half a year."""


def fill(database: Database, rows: int, now: int) -> None:
    """Put `rows` lines into the log, the oldest first."""
    made = _rows(rows, now)
    batch: list[Row] = []
    for row in made:
        batch.append(row)
        if len(batch) == BATCH:
            _put(database, batch)
            batch = []
    _put(database, batch)


def session(number: int) -> str:
    """Return the identifier of the session that the line of a number belongs to."""
    return f"5e55104-{number // LINES_PER_SESSION:08}"


def _put(database: Database, batch: list[Row]) -> None:
    with database.transaction() as transaction:
        transaction.insert_many("log_record", LOG_COLUMNS, batch)


def _rows(count: int, now: int) -> Iterator[Row]:
    chance = random.Random(7)
    recent = min(NEWEST_HOUR, count // 10)
    step = 180 * 24 * HOUR // max(1, count - recent)
    for number in range(count):
        left = count - number
        ts = now - (HOUR * left // recent if left <= recent else HOUR + (left - recent) * step)
        logger, host = chance.choice(LOGGERS), chance.choice(HOSTS)
        level = chance.choices(LEVELS, SHARES)[0]
        if number < count // 2 and number % (count // 200) == 0:  # a hundred lines, all of them old
            logger, host, level = RARE_LOGGER, RARE_HOST, RARE_LEVEL
        message = f"{chance.choice(VERBS)} frame {number} of the tilt series at {chance.random() * 60:.2f} degrees"
        yield (
            ts + chance.randrange(-SECOND // 2, SECOND // 2), level, logger, chance.choice(MODULES),
            chance.randrange(1, 400), "work", host, 4000 + chance.randrange(50), "MainThread", message, None,
            session(number) if number % 3 else None,
        )  # fmt: skip
