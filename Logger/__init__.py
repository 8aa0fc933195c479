"""The session logger: a window on the microscope's PC that records when a session begins and ends.

``session_backend`` says what it needs from the facility, ``controller`` is what it does, ``window`` what its user sees;
``database_backend`` reaches the facility's database. Everything here but ``database_backend`` does without NexusCore
and keeps to what Python 3.8 knows, so that it also runs on PCs whose Windows is as old as their microscope.
"""
