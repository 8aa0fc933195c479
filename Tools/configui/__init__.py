"""The rooms of ConfigUI: a tree of the configuration on a whole terminal, drawn with curses-menu."""
