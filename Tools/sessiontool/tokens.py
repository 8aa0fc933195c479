"""Commands for the tokens with which microscope PCs use the Gateway."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from NexusCore import identity
from NexusCore.clock import SYSTEM_CLOCK
from NexusCore.errors import EXIT_FAILURE, EXIT_OK, NexusError, NoInstrumentForHost
from NexusCore.facility.instruments import Instruments
from NexusCore.facility.tokens import AccessToken, AccessTokens, TokenKind
from NexusCore.text import odd_character, one_line, shell_quote
from Tools.common.configuration import open_configuration, view
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, rfc3339
from Tools.sessiontool.finding import Desk

NEVER = "never"
TOKEN_STYLES = {"revoked": "dim", "expired": "bold red", "unreadable": "bold red", "valid": "green"}


class TokenRefused(NexusError):
    """The token cannot be made: {reason}."""

    exit_code = 4


def token(arguments: Namespace, screen: Screen) -> int:
    """Make, list or revoke a token."""
    tokens = AccessTokens(Desk().database, SYSTEM_CLOCK)
    if arguments.action == "make":
        return _make(tokens, arguments, screen)
    if arguments.action == "revoke":
        return _revoke(tokens, arguments, screen)
    return _list(tokens, arguments, screen)


def _make(tokens: AccessTokens, arguments: Namespace, screen: Screen) -> int:
    odd = odd_character(arguments.computer)
    if odd is not None or not arguments.computer:
        raise TokenRefused(reason=f"the name of the computer contains {odd}" if odd else "the computer needs a name")
    if arguments.until is not None and arguments.until <= SYSTEM_CLOCK.now():
        raise TokenRefused(reason=f"{local(arguments.until)} is in the past")
    if arguments.metrics and arguments.instruments:
        raise TokenRefused(reason="a token for the metrics is for no instrument")
    kind = TokenKind.METRICS if arguments.metrics else TokenKind.PC
    pids = [] if arguments.metrics else _instruments(arguments.computer, arguments.instruments)
    made, secret = tokens.make(arguments.computer, pids, identity.user(), until_ts=arguments.until, kind=kind)
    if arguments.json:
        screen.show_json(**_described(made), token=secret)
        return EXIT_OK
    what = "reading the metrics" if arguments.metrics else ", ".join(pids)
    screen.say(one_line(f"Token {made.id} of {made.name}, for {what}; it is shown only now, so copy it:"))
    screen.show(secret)
    screen.say(f"To revoke it: SessionTool token revoke {shell_quote(made.name)}")
    return EXIT_OK


def _instruments(computer: str, named: Sequence[str]) -> list[str]:
    """Return the pids of a PC's instruments: those named, or those that have it as their computer."""
    configuration = open_configuration()
    if named:
        return list(dict.fromkeys(configuration.instrument(pid) for pid in named))
    short = computer.partition(".")[0].lower()
    instruments = Instruments(view(configuration)).all()
    pids = [instrument.pid for instrument in instruments if instrument.computer_name.partition(".")[0].lower() == short]
    if not pids:
        raise NoInstrumentForHost(host=computer)
    return pids


def _list(tokens: AccessTokens, arguments: Namespace, screen: Screen) -> int:
    found = tokens.all(revoked=arguments.all)
    if arguments.json:
        for token in found:
            screen.show_json(**_described(token))
    elif found:
        headers = ("number", "computer", "for", "state", "made", "until", "last seen")
        screen.table(headers, map(_row, found), TOKEN_STYLES)
    else:
        screen.fail("There are no tokens. To make one: SessionTool token make COMPUTER INSTRUMENT")
        return EXIT_FAILURE
    return EXIT_OK


def _revoke(tokens: AccessTokens, arguments: Namespace, screen: Screen) -> int:
    revoked = tokens.revoke(arguments.which)
    if arguments.json:
        screen.show_json(number=revoked.id, computer=revoked.name, state="revoked")
    else:
        screen.show(one_line(f"Token {revoked.id} of {revoked.name} is revoked; the Gateway refuses it from now on."))
    return EXIT_OK


def _row(token: AccessToken) -> tuple[str, ...]:
    times = (local(token.made_ts), _time(token.until_ts), _time(token.seen_ts))
    return str(token.id), token.name, _purpose(token), _state(token), *times


def _state(token: AccessToken) -> str:
    if token.odd:
        return "unreadable"
    if token.revoked_ts is not None:
        return "revoked"
    return "valid" if token.is_valid(SYSTEM_CLOCK.now()) else "expired"


def _purpose(token: AccessToken) -> str:
    return "metrics" if token.kind is TokenKind.METRICS else ", ".join(token.instruments)


def _time(ts: int | None) -> str:
    return NEVER if ts is None else local(ts)


def _described(token: AccessToken) -> dict[str, object]:
    """Return a token as the fields of a JSON object, without the secret."""
    return {
        "number": token.id,
        "computer": token.name,
        "kind": token.kind.value,
        "instruments": list(token.instruments),
        "state": _state(token),
        "made_by": token.made_by,
        "made": rfc3339(token.made_ts),
        "until": rfc3339(token.until_ts),
        "last_seen": rfc3339(token.seen_ts),
    }
