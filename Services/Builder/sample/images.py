"""Images of the sample: crushed NMC811 particles on lacey carbon, from the whole particle down to the lattice.

Lengths are in nm. An image is a float array in counts, [y, x] with x to the right and y downwards; positions in the
specimen are measured from the middle of the image.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from Services.Builder.sample.crystal import FloatArray, wavelength, zone

HIGH_TENSION = 200.0
"""Of the microscope, in kV."""
ZONE = (1, 0, 0)
"""Zone axis along which the crystals lie: the layers (003) are seen edge-on."""

_SPHERICAL_ABERRATION = 1.2e6  # Cs of the objective lens: 1.2 mm
_FOCUS_SPREAD = 4.0
_CARBON_STRANDS = 24  # plane waves whose sum is zero along the strands of the carbon net


@dataclass(frozen=True, slots=True)
class Particle:
    """A faceted crystal: its thickness rises from each facet's edge and levels off."""

    centre: tuple[float, float]
    normals: FloatArray
    """Unit vectors across the edges, shape (facets, 2)."""
    distances: FloatArray
    """Distance of each edge from the centre."""
    height: float
    """Greatest thickness."""
    absorption: float
    """Strength of diffraction contrast: how dark this orientation is in bright field."""


@dataclass(frozen=True, slots=True)
class Scene:
    """An area of the grid."""

    particles: tuple[Particle, ...]
    waves: FloatArray
    """Wave vectors of the field whose zeros are the carbon strands, shape (n, 2)."""
    phases: FloatArray


def scene(seed: int, area: int) -> Scene:
    """Strew particles over an area of the grid; the same numbers give the same area."""
    rng = np.random.default_rng([seed, area])
    particles = []
    for number in range(34):
        radius = rng.uniform(60, 230)
        # The first lies in the middle: it is what the operator drove to. The others lean on it or lie farther off.
        reach, angle = (0.0 if number == 0 else 250 + 2000 * rng.random() ** 1.3), rng.uniform(0, 2 * math.pi)
        facets = int(rng.integers(5, 9))
        angles = (np.arange(facets) + rng.uniform(-0.3, 0.3, facets)) * 2 * math.pi / facets
        particles.append(
            Particle(
                centre=(reach * math.cos(angle), reach * math.sin(angle)),
                normals=np.stack([np.cos(angles), np.sin(angles)], axis=1),
                distances=radius * rng.uniform(0.75, 1.1, facets),
                height=radius * rng.uniform(0.3, 0.45),
                absorption=rng.uniform(0.3, 1.2),
            )
        )
    angles = rng.uniform(0, 2 * math.pi, _CARBON_STRANDS)
    length = rng.uniform(0.3e-3, 1.1e-3, _CARBON_STRANDS)
    waves = np.stack([np.cos(angles), np.sin(angles)], axis=1) * length[:, None]
    return Scene(tuple(particles), waves, rng.uniform(0, 2 * math.pi, _CARBON_STRANDS))


def thickness(
    view: Scene, shape: tuple[int, int], pixel: float, drift: float = 0.0
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Thickness of crystal, of crystal weighted with its diffraction contrast, and of carbon, in nm.

    Parameters
    ----------
    view
        The area.
    shape
        Rows and columns.
    pixel
        Size of a pixel in nm.
    drift
        Shift of the specimen to the right, in nm.
    """
    y, x = ((np.arange(size) - size / 2) * pixel for size in shape)
    x = x - drift
    crystal, contrast = np.zeros(shape), np.zeros(shape)
    for particle in view.particles:
        across, down = x - particle.centre[0], y - particle.centre[1]
        edges = (
            distance - (normal[0] * across[None, :] + normal[1] * down[:, None])
            for normal, distance in zip(particle.normals, particle.distances, strict=True)
        )
        inside = np.full(shape, np.inf)
        for edge in edges:
            np.minimum(inside, edge, out=inside)
        slab = particle.height * np.tanh(1.8 * np.clip(inside, 0, None) / particle.height)
        crystal += slab
        contrast += slab * particle.absorption
    rows = np.exp(2j * np.pi * np.outer(y, view.waves[:, 1]))
    columns = np.exp(2j * np.pi * np.outer(view.waves[:, 0], x) + 1j * view.phases[:, None])
    field = (rows @ columns).real / math.sqrt(_CARBON_STRANDS)
    return crystal, contrast, 25 * np.exp(-((field / 0.12) ** 2))


def haadf(rng: np.random.Generator, view: Scene, shape: tuple[int, int], pixel: float) -> FloatArray:
    """Annular dark-field scan: brighter with thickness and atomic number, dark where there is nothing."""
    crystal, _, carbon = thickness(view, shape, pixel)
    flicker = 1 + 0.01 * rng.standard_normal((shape[0], 1))  # emission differs from line to line
    return rng.poisson(12 * (25 + 9 * crystal + 2.5 * carbon) * flicker).astype(float)


def bright_field(
    rng: np.random.Generator, view: Scene, shape: tuple[int, int], pixel: float, drift: float = 0.0
) -> FloatArray:
    """Bright-field image: dark with thickness and orientation, thickness fringes along the edges."""
    crystal, contrast, carbon = thickness(view, shape, pixel, drift)
    fringes = 1 - 0.35 * np.sin(math.pi * crystal / 45) ** 2 * np.exp(-crystal / 120)  # extinction distance 45 nm
    return rng.poisson(4000 * np.exp(-contrast / 110 - carbon / 180) * fringes).astype(float)


def transfer(frequency: FloatArray, defocus: float) -> FloatArray:
    """Phase contrast transfer function at frequencies in 1/nm; `defocus` in nm, negative for underfocus."""
    short = wavelength(HIGH_TENSION)
    phase = math.pi * short * defocus * frequency**2 + math.pi / 2 * _SPHERICAL_ABERRATION * short**3 * frequency**4
    damping = np.exp(-((math.pi * short * _FOCUS_SPREAD * frequency**2) ** 2) / 2)
    return np.asarray(-np.sin(phase) * damping)


def lattice(
    specimen: np.random.Generator, rng: np.random.Generator, size: int, pixel: float, defocus: float
) -> FloatArray:
    """High-resolution image: crystal lattice in the upper left, thinning out towards amorphous carbon.

    Linear imaging of a weak phase object: each reflection of the zone is a plane wave of the lattice's spacing and
    direction, with its structure factor times the lens's transfer; carbon is white noise through the same lens, which
    gives the rings in the Fourier transform.

    Parameters
    ----------
    specimen
        Decides orientation, edge and carbon.
    rng
        Decides the electrons' shot noise.
    size
        Pixels per edge.
    pixel
        Size of a pixel in nm.
    defocus
        In nm, negative for underfocus.
    """
    angle, edge = specimen.uniform(0.2, 0.9), specimen.uniform(-0.05, 0.12)
    across = (np.arange(size) - size / 2) * pixel
    waves = zone(ZONE, min(7.0, 0.45 / pixel))
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    vectors = waves.vectors @ turn.T
    amplitudes = waves.factors * transfer(waves.lengths, defocus)
    rows = np.exp(2j * np.pi * np.outer(across, vectors[:, 1])) * amplitudes
    fringes = (rows @ np.exp(2j * np.pi * np.outer(vectors[:, 0], across))).real
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(size, pixel)] * 2))
    white = np.fft.fft2(specimen.standard_normal((size, size)))
    carbon = np.fft.ifft2(white * transfer(frequency, defocus)).real
    # The crystal ends at a slightly wavy line across the image and is a wedge behind it.
    depth = edge * size * pixel - (across[None, :] + across[:, None]) / math.sqrt(2)
    depth += 0.8 * np.sin(across[None, :] / 2.1) + 0.5 * np.sin(across[:, None] / 1.3)
    wedge = np.clip(depth / 3.5, 0, 1)
    contrast = 0.16 * wedge * fringes / fringes.std() + 0.09 * (1 - 0.6 * wedge) * carbon / carbon.std()
    mean = 500 * np.clip((1 - 0.2 * wedge) * (1 + contrast), 0.02, None)
    return np.asarray(rng.poisson(mean), dtype=np.float64)
