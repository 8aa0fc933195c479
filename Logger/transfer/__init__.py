"""The transfer of a session's files to the facility's store, through its Gateway (docs/transfer.md)."""
