"""What is refused about files, as problems."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from NexusCore.facility import Session, State
from NexusCore.facility.stores.model import (
    Incomplete,
    NameTaken,
    NoRoom,
    StoreFull,
    StoreUnavailable,
    UploadGone,
    WrongContent,
)
from NexusCore.facility.transfer_changes import MOST_FILES, TooManyFiles
from Services.Gateway.context import GatewayContext
from Services.Gateway.problems import Problem

RETRY_SECONDS = 30
"""When to try again what a store could not take."""
T = TypeVar("T")


def storing(context: GatewayContext, work: Callable[[], T]) -> T:
    """Return what `work` returns; what a store refuses becomes a problem, and a line of log."""
    retry = {"Retry-After": str(RETRY_SECONDS)}
    try:
        return work()
    except NoRoom as error:
        context.stores.warn(str(error))
        sentence = f"This file needs {error.facts['needed']}, and the facility's store has {error.facts['free']} left."
        raise Problem(507, f"{sentence} Tell the facility's staff.", headers=retry) from None
    except StoreFull as error:
        context.stores.warn(str(error))
        raise Problem(507, "The facility's store is full. Tell the facility's staff.", headers=retry) from None
    except StoreUnavailable as error:
        context.stores.warn(str(error))
        sentence = "The facility's store cannot be used at the moment. Send the request again later."
        raise Problem(503, sentence, "store-away", headers=retry) from None
    except TooManyFiles:
        raise Problem(409, f"A session has at most {MOST_FILES:,} files.", "too-many-files") from None
    except Incomplete as error:
        sentence = f"The store has {error.received:,} bytes of this file so far."
        raise Problem(409, sentence, "incomplete", "The file is not complete", received=error.received) from None
    except (UploadGone, NameTaken, WrongContent):
        # What a job left undone: the next look at the upload goes on with it.
        raise Problem(503, "The store is not ready for this upload yet.", "store-away", headers=retry) from None


def check_transferring(context: GatewayContext, session: Session) -> None:
    """Raise `Problem` if files of a session are not taken, or not any more."""
    if session.state is not State.WAITING_FOR_END:
        raise Problem(409, "The transfer of this session has ended.", "transfer-ended", "The transfer has ended")
    if not context.stores.settings(session.instrument).on:
        raise Problem(409, "The facility has switched file transfer off for this instrument.", "transfer-off")


def check_folder(context: GatewayContext, session: Session, folder: str) -> None:
    """Raise `Problem` if a folder is none that the facility has transferred: its files would lie where nobody looks."""
    if folder not in context.stores.settings(session.instrument).folders:
        raise Problem(422, f"The facility has no folder '{folder}' transferred for this instrument.")
