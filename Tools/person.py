"""Who is at the keyboard, and where: what the histories say of a change made with a tool."""

from NexusCore.identity import host, user

__all__ = ["host", "user"]
