"""Extracting metadata and previews from instrument files, in confined processes or on a cluster."""
