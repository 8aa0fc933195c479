"""What Intake does when it is started by hand, instead of running as a service."""
