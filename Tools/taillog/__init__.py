"""The modules of TailLog."""
