"""What the Builder offers on the command line besides its service."""
