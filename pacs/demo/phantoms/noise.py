"""What keeps a phantom from looking drawn: smooth random fields and the texture of detectors."""

from __future__ import annotations

import numpy as np

from pacs.demo.phantoms.drawing import FloatImage


class Waves:
    """A smooth random field in space: a sum of sine waves of one wavelength and random directions.

    Being a formula, it has a value at every point, so neighbouring slices agree.
    """

    def __init__(self, seed: int, wavelength_mm: float, waves: int = 14, stretch: float = 1.0) -> None:
        rng = np.random.default_rng(seed)
        direction = rng.normal(size=(waves, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        length = rng.uniform(0.75, 1.35, size=(waves, 1))
        vectors = direction * (2 * np.pi / wavelength_mm) * length
        vectors[:, 2] /= stretch
        self._vectors = vectors.astype(np.float32)
        self._phases = rng.uniform(0, 2 * np.pi, size=waves).astype(np.float32)
        self._amplitude = np.float32(np.sqrt(2 / waves))

    def at(self, x: FloatImage, y: FloatImage, z: float | FloatImage) -> FloatImage:
        """Values of unit variance at the points (arrays that broadcast)."""
        if x.ndim == y.ndim == 2 and x.shape[0] == y.shape[1] == 1 and np.ndim(z) == 0:
            return self._on_grid(x[0], y[:, 0], np.float32(z))
        total = np.zeros(np.broadcast_shapes(x.shape, y.shape, np.shape(z)), np.float32)
        for (kx, ky, kz), phase in zip(self._vectors, self._phases, strict=True):
            total += np.sin(kx * x + ky * y + (kz * z + phase))
        return total * self._amplitude

    def _on_grid(self, x: FloatImage, y: FloatImage, z: np.float32) -> FloatImage:
        """Values at all crossings of a grid, by sin(a + b) = sin a cos b + cos a sin b."""
        across = self._vectors[:, :1] * x
        down = self._vectors[:, 1:2] * y + (self._vectors[:, 2] * z + self._phases)[:, np.newaxis]
        # einsum adds up in a fixed order; a matrix product's order may depend on the number of threads
        total: FloatImage = np.einsum("wr,wc->rc", np.sin(down), np.cos(across))
        total += np.einsum("wr,wc->rc", np.cos(down), np.sin(across))
        return total * self._amplitude


def textured_noise(rng: np.random.Generator, shape: tuple[int, int], low: float, high: float) -> FloatImage:
    """Noise of unit variance whose power lies between two spatial frequencies, given in cycles per pixel.

    Filtered back projection leaves such a band-pass texture: little power at low frequencies (a ramp) and
    none above the reconstruction kernel's cut.
    """
    spectrum = np.fft.rfft2(rng.standard_normal(shape, np.float32))
    frequency = np.hypot(np.fft.fftfreq(shape[0])[:, np.newaxis], np.fft.rfftfreq(shape[1])[np.newaxis, :])
    gain = np.sqrt(frequency / (frequency + low)) * np.exp(-((frequency / high) ** 2))
    noise = np.fft.irfft2(spectrum * gain, shape)
    texture: FloatImage = (noise / noise.std()).astype(np.float32)
    return texture


def blur(image: FloatImage, weight: float, passes: int = 1) -> FloatImage:
    """Smooth ``image`` by the kernel (weight, 1 - 2 weight, weight) along both axes, ``passes`` times."""
    centre, side = np.float32(1 - 2 * weight), np.float32(weight)
    for _ in range(passes):
        padded = np.pad(image, 1, mode="edge")
        padded = padded[1:-1] * centre + (padded[:-2] + padded[2:]) * side
        image = padded[:, 1:-1] * centre + (padded[:, :-2] + padded[:, 2:]) * side
    return image
