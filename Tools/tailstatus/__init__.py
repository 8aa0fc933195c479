"""The modules of TailStatus."""
