"""The rooms of TailStatus."""
