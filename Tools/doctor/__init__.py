"""Doctor: its checks, the support bundle, and repairs."""
