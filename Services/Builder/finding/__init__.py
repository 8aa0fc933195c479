"""Finding the files of sessions in the file store."""
