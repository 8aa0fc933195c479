"""Diffraction patterns of the sample: spots of one crystal, rings of the powder, discs of a focused beam.

Reciprocal lengths are in 1/nm; a pattern is a float array in counts.
"""

from __future__ import annotations

import math

import numpy as np

from Services.Builder.sample.crystal import FloatArray, reflections, wavelength, zone
from Services.Builder.sample.images import HIGH_TENSION, ZONE

_LIMIT = 11.0


def spots(
    rng: np.random.Generator, size: int, pixel: float, centre: tuple[float, float], angle: float, tilt: float = 0.0
) -> FloatArray:
    """Selected-area pattern of a single crystal in its zone axis, behind a beam stop.

    Parameters
    ----------
    rng
        Decides the shot noise.
    size
        Pixels per edge.
    pixel
        Size of a pixel in 1/nm.
    centre
        The direct beam's x and y in pixels.
    angle
        Of c* against the x axis, in rad.
    tilt
        How far the crystal is tilted off the zone axis, in mrad: the spots then shine on one side (the Laue circle
        through the direct beam), as while an operator is still looking for the zone.
    """
    waves = zone(ZONE, _LIMIT)
    vectors = _turned(waves.vectors, angle)
    lengths = waves.lengths
    # Distance of each reciprocal lattice point from the Ewald sphere; a thin crystal's rods bridge some 0.04 1/nm.
    error = wavelength(HIGH_TENSION) * lengths**2 / 2 - vectors[:, 0] * tilt * 1e-3
    strength = 6e4 * waves.factors**2 * np.exp(-((error / 0.05) ** 2))
    x, y = _offsets(size, pixel, centre)
    pattern = _peaks(x, y, np.vstack([vectors, [[0, 0]]]), np.append(strength, 4e6), 1.3 * pixel)
    return _recorded(rng, pattern, np.hypot(x[None, :], y[:, None]), x, y)


def rings(rng: np.random.Generator, size: int, pixel: float, centre: tuple[float, float]) -> FloatArray:
    """Selected-area pattern of many small crystals: rings at 1/d of the lattice, grainy, behind a beam stop."""
    powder = reflections(_LIMIT)
    x, y = _offsets(size, pixel, centre)
    distance = np.hypot(x[None, :], y[:, None])
    radii, index = np.unique(powder.lengths.round(4), return_inverse=True)
    strength = np.bincount(index, weights=powder.factors**2) / radii  # spread over the ring
    keep = strength > 0.01 * strength.max()
    radii, strength = radii[keep], strength[keep]
    pattern = np.zeros((size, size))
    for radius, height in zip(radii, strength, strict=True):
        pattern += 700 * height * np.exp(-(((distance - radius) / (0.8 * pixel)) ** 2) / 2)
    which = rng.choice(radii.size, 2500, p=strength * radii / (strength * radii).sum())
    angles = rng.uniform(0, 2 * math.pi, which.size)
    grains = radii[which, None] * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    pattern += _peaks(x, y, grains, rng.exponential(500, which.size), 1.1 * pixel)
    pattern += _peaks(x, y, np.zeros((1, 2)), np.array([4e6]), 1.3 * pixel)
    return _recorded(rng, pattern, distance, x, y)


def scan(rng: np.random.Generator, weight: FloatArray, size: int, pixel: float, disc: float, dose: float) -> FloatArray:
    """Patterns of a focused beam at each position of a scan over two crystals and the vacuum beside them.

    Parameters
    ----------
    rng
        Decides the crystals' rotation and the shot noise.
    weight
        How much each of two crystals scatters at each position, shape (2, rows, columns), 0 to 1.
    size
        Pixels per edge of a pattern.
    pixel
        Size of a pixel in 1/nm.
    disc
        Radius of the discs in 1/nm: the convergence semi-angle over the wavelength.
    dose
        Electrons per pattern.

    Returns
    -------
    Floats
        Shape (rows, columns, size, size), in electrons.
    """
    waves = zone(ZONE, size * pixel)
    x, y = _offsets(size, pixel, (size / 2, size / 2))
    beam = _discs(x, y, np.zeros((1, 2)), np.ones(1), disc, pixel)
    angles = rng.uniform(0, math.pi, 2)
    grains = np.stack([_discs(x, y, _turned(waves.vectors, a), 2.5 * waves.factors**2, disc, pixel) for a in angles])
    halo = np.exp(-np.hypot(x[None, :], y[:, None]) / 1.5)
    direct = np.exp(-weight.sum(axis=0))[..., None, None] * beam
    crystals = np.einsum("kij,kyx->ijyx", weight, grains)
    diffuse = 0.02 * weight.sum(axis=0)[..., None, None] * halo
    mean = direct + 0.25 * crystals + diffuse
    return np.asarray(rng.poisson(dose * mean / beam.sum()), dtype=np.float64)


def _offsets(size: int, pixel: float, centre: tuple[float, float]) -> tuple[FloatArray, FloatArray]:
    """Coordinates x and y of the pixels, from the direct beam, in 1/nm."""
    index = np.arange(size, dtype=np.float64)
    return (index - centre[0]) * pixel, (index - centre[1]) * pixel


def _turned(vectors: FloatArray, angle: float) -> FloatArray:
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(vectors @ turn.T)


def _peaks(x: FloatArray, y: FloatArray, places: FloatArray, heights: FloatArray, width: float) -> FloatArray:
    """Sum of round Gaussians."""
    columns = np.exp(-(((x[None, :] - places[:, :1]) / width) ** 2) / 2)
    rows = np.exp(-(((y[None, :] - places[:, 1:]) / width) ** 2) / 2)
    return np.asarray((rows * heights[:, None]).T @ columns)


def _discs(
    x: FloatArray, y: FloatArray, places: FloatArray, heights: FloatArray, radius: float, pixel: float
) -> FloatArray:
    """Sum of discs with an edge half a pixel soft."""
    pattern = np.zeros((y.size, x.size))
    for (across, down), height in zip(places, heights, strict=True):
        distance = np.hypot(x[None, :] - across, y[:, None] - down)
        pattern += height / (1 + np.exp((distance - radius) / (0.5 * pixel)))
    return pattern


def _recorded(
    rng: np.random.Generator, pattern: FloatArray, distance: FloatArray, x: FloatArray, y: FloatArray
) -> FloatArray:
    """Add diffuse scattering, put the beam stop in, count electrons, and clip where the camera saturates."""
    diffuse = 9e3 * np.exp(-distance / 0.7) + 140 * np.exp(-distance / 3.5)
    stop = 1 / (1 + np.exp((distance - 0.75) / 0.04))
    bar = (x[None, :] < 0) / (1 + np.exp((np.abs(y[:, None]) - 0.45) / 0.04))
    shadow = 1 - 0.97 * np.clip(stop + bar, 0, 1)
    counts = rng.poisson(np.clip((pattern + diffuse) * shadow, 0, 1e6)) + 40 + rng.normal(0, 3, pattern.shape)
    return np.asarray(np.clip(counts, 0, 65535))
