"""Delivery: what was accepted reaches the database, exactly once, whatever happens in between."""

from NexusCore.delivery.folders import Folders
from NexusCore.delivery.journal import Journal
from NexusCore.delivery.lane import Sink
from NexusCore.delivery.shipper import Report, Shipper

__all__ = ["Folders", "Journal", "Report", "Shipper", "Sink"]
