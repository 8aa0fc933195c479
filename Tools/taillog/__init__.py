"""The rooms of TailLog."""
