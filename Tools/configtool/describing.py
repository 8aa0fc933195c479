"""The command that describes a parameter: what it is for, what it may be, and who changed it last."""

from __future__ import annotations

from argparse import Namespace

from NexusCore.config import forms
from NexusCore.config.store import Change
from NexusCore.config.values import MASK, Limits, encode
from NexusCore.errors import EXIT_OK
from NexusCore.text import one_line
from Tools.common import declared
from Tools.common.configuration import StoredConfiguration, open_configuration
from Tools.common.parameters import on_a_line, plain_value
from Tools.common.terminal import Screen
from Tools.common.time_parser import local, rfc3339


def describe(arguments: Namespace, screen: Screen) -> int:
    """Show everything that is known of a parameter."""
    configuration = open_configuration(arguments.version)
    item = declared.catalogue().find(arguments.path)
    change = configuration.find(arguments.path)
    if change is None and item is None:
        configuration.get(arguments.path)  # says what is wrong
    limits = item.limits if item is not None else Limits.readable(change.limits) if change is not None else Limits()
    datatype = item.datatype if item is not None else change.datatype if change is not None else None
    comment = (change.comment if change is not None else None) or (item.comment if item is not None else None)
    known = declared.catalogue()
    wrong = declared.problem(change, known) if change is not None else None
    last = _last(configuration, arguments.path)
    if arguments.json:
        screen.show_json(
            path=arguments.path, version=configuration.version, value=plain_value(change), is_set=change is not None,
            default=item.default if item is not None else None, declared=item is not None, datatype=datatype,
            minimum=limits.minimum, maximum=limits.maximum, choices=list(limits.choices) or None, form=limits.form,
            pattern=limits.pattern, secret=limits.secret, comment=comment, problem=wrong, last_change=last,
        )  # fmt: skip
        return EXIT_OK
    rows = {
        "value": _value(change),
        "default": "no program declares it" if item is None else _default(item.default, limits, stored=item.stored),
        "type": datatype or "",
        "limits": limits.described(),
        "choices": ", ".join(str(choice) or "''" for choice in limits.choices)
        + (" (several, with commas)" if limits.many else ""),
        "form": forms.WORDS[limits.form] if limits.form else limits.pattern or "",
        "for": comment or "",
        "wrong": wrong or "",
    }
    screen.show(screen.paint(one_line(arguments.path), "bold"))
    for name, text in rows.items():
        if text:
            style = "red" if name == "wrong" else "cyan" if name == "value" else ""
            screen.show(f"  {name:<8} {screen.paint(one_line(text), *([style] if style else []))}")
    if last is not None:
        why = f", because: {last['why']}" if last["why"] else ""
        when = f"by {last['who']}@{last['host']} with {last['tool']}, {last['local']}, revision {last['revision']}"
        screen.show(f"  {'changed':<8} {one_line(when + why)}")
    return EXIT_OK


def _value(change: Change | None) -> str:
    return "not set" if change is None else on_a_line(change) or "''"


def _default(default: object, limits: Limits, *, stored: bool) -> str:
    if limits.secret and default:
        return MASK
    text = encode(default) if isinstance(default, (str, int, float, bool)) else ""
    return (text or "''") + ("" if stored else ", while it is not set")


def _last(configuration: StoredConfiguration, path: str) -> dict[str, object] | None:
    entries = configuration.store.history(configuration.version_id, path)
    if not entries:
        return None
    entry = entries[0]
    return {
        "revision": entry.revision, "time": rfc3339(entry.ts), "local": local(entry.ts), "who": entry.who,
        "host": entry.host, "tool": entry.tool, "why": entry.why, "action": entry.action,
    }  # fmt: skip
