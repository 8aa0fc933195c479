"""Doctor: its checks, the bundle for who helps from afar, and repairs."""
