"""HyperSpy's signals: what a reader returned completed by HyperSpy, and what exspy knows of X-ray lines and edges.

`libraries` imports the two packages, `completion` completes a reader's dictionary, by HyperSpy's signal where that
changes something, `mapping` translates its metadata, `layout` lays spectra out along HyperSpy's axis. `elements`,
`xray`, `peaks` and `maps` are for X-ray spectra, `edges` and `low_loss` for energy losses; `computed` has the
quantities that are computed from the data. exspy is imported where it is needed, for that takes longer than reading a
hundred files.
"""
