"""Declarations: a program names the type, comment and limits of a parameter, without changing its value."""

from __future__ import annotations

from NexusCore.config.changes import Edit, check_comment
from NexusCore.config.parameter import ConfigParameter
from NexusCore.config.values import NO_LIMITS, Limits, Value, datatype_of


def declaration(
    node: ConfigParameter | None, path: str, value: Value, datatype: str | None, comment: str | None, limits: Limits
) -> Edit | None:
    """Return the edit that declares a parameter; None if it needs none.

    Parameters
    ----------
    node
        The existing parameter, which keeps its value; None to create it.
    path, value, datatype, comment, limits
        Path, default value and content of the declaration.
    """
    check_comment(path, comment)
    if node is None:
        return Edit(path, value=value, datatype=datatype, comment=comment, limits=limits, only_new=True)
    if (limits == NO_LIMITS or node.limits != NO_LIMITS) and (not comment or node.comment):
        return None
    return Edit(
        path, value=node.value, datatype=datatype or datatype_of(path, value), comment=node.comment or comment,
        limits=limits if node.limits == NO_LIMITS else None, if_revision=node.revision,
    )  # fmt: skip
