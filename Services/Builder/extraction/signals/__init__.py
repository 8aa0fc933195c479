"""HyperSpy's signals: what a reader returned completed by HyperSpy, and what exspy knows of X-ray lines and edges.

`libraries` imports the two packages, `completion` makes HyperSpy's signal of a reader's dictionary, `typed` one of
exspy's types of a `Signal`. `elements`, `xray`, `peaks` and `maps` are for X-ray spectra, `edges` and `low_loss` for
energy losses; `computed` has the quantities that are computed from the data. exspy is imported where it is needed, for
that takes longer than reading a hundred files.
"""
