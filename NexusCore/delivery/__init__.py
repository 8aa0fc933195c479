"""Delivery: what was accepted reaches the database, exactly once, whatever happens in between."""

from NexusCore.delivery.journal import Journal
from NexusCore.delivery.shipper import Report, Shipper, Sink

__all__ = ["Journal", "Report", "Shipper", "Sink"]
