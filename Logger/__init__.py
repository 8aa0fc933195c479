"""The session logger: a window on the microscope's PC that records when a session begins and ends.

``book`` says what it needs from the facility, ``logic`` is what it does, ``window`` what its user sees; ``direct``
reaches the facility's database. Everything here but ``direct`` does without NexusCore and keeps to what Python 3.8
knows, so that it also runs on PCs whose Windows is as old as their microscope.
"""
