"""The Gateway: a small web API through which microscope PCs report their sessions; they have no database account."""
