"""The Uploader: sends finished records to every destination configured."""
