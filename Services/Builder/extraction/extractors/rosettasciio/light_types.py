"""Signal types of light spectrometers, the same whether lumispy is installed or not.

RosettaSciIO's readers of JobinYvon, TriVista, Renishaw and Hamamatsu files state lumispy's signal types only where that
package is found. What a file is does not depend on what is installed here. And of Hamamatsu's files they call every one
resolved in time: one whose camera did not sweep has no axis of time.
"""

from __future__ import annotations

from dataclasses import replace

from Services.Builder.extraction.extractors.signal import SPECTRAL, Signal

LUMINESCENCE = "Luminescence"
"""lumispy's general type of spectra of light."""
_SPECTROMETERS = ("Hamamatsu", "JobinYvon", "Renishaw", "TriVista")
_STREAK_CAMERAS = ("Hamamatsu", "TIFF")


def of_light(plugin: str, signal: Signal) -> Signal:
    """Return a signal with the type that its reader states, or would state with lumispy.

    Parameters
    ----------
    plugin
        Name of the reader.
    signal
        What it returned.
    """
    dimensions = {axis.dimension for axis in signal.axes}
    if plugin in _STREAK_CAMERAS and "transient" in signal.signal_type.lower() and "time" not in dimensions:
        signal = replace(signal, signal_type="")
    if plugin in _SPECTROMETERS and not signal.signal_type and dimensions & set(SPECTRAL) and not signal.colour:
        return replace(signal, signal_type=LUMINESCENCE)
    return signal
