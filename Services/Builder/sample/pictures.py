"""Pictures of other origin than the transmission microscope: scanning images, a photograph, a Fourier transform."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from Services.Builder.sample.crystal import FloatArray

Bytes = npt.NDArray[np.uint8]

DATABAR = 44
"""Height of the data bar below a scanning image, in pixels."""


def powder(rng: np.random.Generator, shape: tuple[int, int], pixel: float) -> Bytes:
    """Secondary-electron image of NMC811 powder on carbon tape: balls some 10 µm wide, grown from small grains.

    The yield rises with the tilt of the surface (1/cos), which brightens the rims; grain boundaries are dark.

    Parameters
    ----------
    rng
        Decides where the balls lie.
    shape
        Rows and columns, without the data bar.
    pixel
        Size of a pixel in µm.
    """
    height, width = shape
    image = 40 + 6 * _cloud(rng, shape)
    for _ in range(6 + round(height * width * pixel**2 / 90)):
        radius = rng.uniform(3, 7) / pixel
        middle = (rng.uniform(-0.1, 1.1) * height, rng.uniform(-0.1, 1.1) * width)
        top, bottom = (int(np.clip(middle[0] + side * radius, 0, height)) for side in (-1, 1))
        left, right = (int(np.clip(middle[1] + side * radius, 0, width)) for side in (-1, 1))
        y, x = np.mgrid[top:bottom, left:right]
        down, across = (y - middle[0]) / radius, (x - middle[1]) / radius
        inside = down**2 + across**2 < 0.995
        up = np.sqrt(1 - down[inside] ** 2 - across[inside] ** 2)
        grain, groove = _grains(rng, np.stack([down[inside], across[inside], up], axis=1))
        image[top:bottom, left:right][inside] = 62 + 34 / np.maximum(up, 0.28) + grain - 45 * groove
    return _bytes(image + rng.normal(0, 7, shape))


def _grains(rng: np.random.Generator, points: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Cut a ball's surface into grains: the grain's shade and the depth of the groove, at points on the unit ball."""
    seeds = rng.standard_normal((260, 3))
    seeds = seeds[seeds[:, 2] > 0]  # those on the far side are not seen
    seeds /= np.linalg.norm(seeds, axis=1, keepdims=True)
    shade = rng.uniform(-12, 12, len(seeds))
    nearness = points.astype(np.float32) @ seeds.T.astype(np.float32)
    every = np.arange(len(points))
    nearest = nearness.argmax(axis=1)
    first = nearness[every, nearest]
    nearness[every, nearest] = -1
    return shade[nearest], np.exp(-(first - nearness.max(axis=1)) / 0.004)


def with_databar(image: Bytes, text: str, length: float, caption: str) -> Bytes:
    """Put a data bar with `text` and a scale bar of `length` pixels below a scanning image."""
    canvas = Image.new("L", (image.shape[1], image.shape[0] + DATABAR), 0)
    canvas.paste(Image.fromarray(image), (0, 0))
    pen = ImageDraw.Draw(canvas)
    middle, right = image.shape[0] + DATABAR // 2, image.shape[1] - 16
    pen.text((10, middle), text, fill=255, anchor="lm", font=ImageFont.load_default(13))
    pen.line((right - length, middle + 9, right, middle + 9), fill=255, width=3)
    pen.text((right - length / 2, middle - 8), caption, fill=255, anchor="mm", font=ImageFont.load_default(13))
    return np.asarray(canvas)


def grid_photo(rng: np.random.Generator, size: int = 640) -> Bytes:
    """Photograph of a 3 mm copper grid, 200 mesh, in the tip of the holder, as through a stereo microscope."""
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    distance = np.hypot(x, y)
    brushed = 150 + 12 * rng.standard_normal((size, 1)) + 40 * x  # the holder's brushed metal, lit from one side
    recess = 0.42 + 0.003 * rng.standard_normal()
    image = np.where(distance < recess, 60 + 60 * np.clip((distance / recess) ** 8, 0, 1), brushed)
    colour = np.stack([image, image * 0.99, image * 0.97], axis=-1)
    turn = rng.uniform(0, math.pi / 2)
    along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    mesh = np.maximum(*(np.abs((side / 0.03) % 1 - 0.5) for side in (along, across))) < 0.34
    bars = (distance < 0.36) & ((distance > 0.31) | ~mesh)
    colour[bars] = np.array([196, 122, 78]) + 30 * x[bars][:, None]
    film = (distance < 0.31) & mesh
    colour[film] = np.array([70, 66, 62]) + 14 * _cloud(rng, (size, size))[film][:, None]
    clip = (np.abs(y - 0.4 * x) < 0.022) & (x > 0.2)
    colour[clip] = 205
    vignette = 1.05 - 0.9 * distance[..., None] ** 2
    return _bytes(colour * vignette + rng.normal(0, 4, colour.shape))


def power_spectrum(image: FloatArray) -> Bytes:
    """Logarithm of the Fourier transform's square, zero frequency in the middle, as saved from the screen."""
    rows, columns = (np.hanning(size) for size in image.shape)
    window = (image - image.mean()) * rows[:, None] * columns
    power = np.log1p(np.abs(np.fft.fftshift(np.fft.fft2(window))) ** 2)
    low, high = np.percentile(power, [20, 99.97])
    return _bytes(255 * (power - low) / (high - low))


def _cloud(rng: np.random.Generator, shape: tuple[int, int]) -> FloatArray:
    """Smooth noise of unit variance, structures some 15 pixels wide."""
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(shape[1]), np.fft.fftfreq(shape[0])))
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal(shape)) * np.exp(-((frequency * 30) ** 2))).real
    return np.asarray(field / field.std())


def _bytes(values: FloatArray) -> Bytes:
    return np.clip(values, 0, 255).astype(np.uint8)
