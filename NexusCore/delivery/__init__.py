"""Delivery: accepted records reach the database exactly once, despite crashes and outages."""

from NexusCore.delivery.folders import Folders
from NexusCore.delivery.journal import Journal
from NexusCore.delivery.lane import Sink
from NexusCore.delivery.shipper import Report, Shipper

__all__ = ["Folders", "Journal", "Report", "Shipper", "Sink"]
