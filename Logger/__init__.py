"""The session logger: a window on the microscope's PC that records when a session begins and ends.

``session_backend`` is the interface to the facility, ``controller`` does the work, ``window`` is the user interface;
``database_backend`` writes to the facility's database. All modules except ``database_backend`` work without NexusCore
and with Python 3.8, so that the logger also runs on PCs whose Windows is as old as their microscope.
"""
