"""The page of a record: what a scientist opens instead of the XML, made of nothing but the XML."""

from __future__ import annotations

from NexusCore.facility.record_page.render import page_of, record_page

__all__ = ["page_of", "record_page"]
