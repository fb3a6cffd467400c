"""What a scanner adds to an image: motion of the head, noise, and the coil's sensitivity."""

from __future__ import annotations

import numpy as np
from scipy import fft

from cmb_bidsapp.simulate.physics import Complex, Volume

#: Share of the scans in which the head moves visibly.
MOTION_SHARE = 0.3
#: Largest motion along the phase-encoding axis in mm: a periodic one, and a jump.
PERIODIC_MM, JUMP_MM = 0.25, 0.8


def ghost(signal: Complex, voxel_mm: float, rng: np.random.Generator) -> Complex:
    """Let the head move along the phase-encoding axis (the second) during the acquisition.

    A periodic motion (breathing) makes ghosts, a jump blurs and rings. Every line of k-space gets
    the phase of the position at its time.
    """
    lines = signal.shape[1]
    time = np.arange(lines) / lines
    cycles, start = rng.uniform(3, 20), rng.uniform(0, 2 * np.pi)
    position = rng.uniform(0, PERIODIC_MM) * np.sin(2 * np.pi * cycles * time + start)
    # The head stays away from where it was, seldom around the centre of k-space.
    position += rng.uniform(-JUMP_MM, JUMP_MM) * (time > rng.choice([0.15, 0.3, 0.7, 0.85]))
    k = np.fft.fftfreq(lines)
    order = np.fft.ifftshift(np.arange(lines))
    error = np.exp(-2j * np.pi * k * position[order] / voxel_mm).astype(np.complex64)
    k_space = fft.fft(signal, axis=1) * error[None, :, None]
    moved: Complex = fft.ifft(k_space, axis=1).astype(np.complex64)
    return moved


def add_noise(signal: Complex, sigma: float, rng: np.random.Generator) -> Complex:
    """Gaussian noise in both parts; the magnitude is Rician."""
    noise = rng.standard_normal((2, *signal.shape), dtype=np.float32) * np.float32(sigma)
    noisy: Complex = signal + noise[0] + 1j * noise[1]
    return noisy


def receive_field(shape: tuple[int, ...], rng: np.random.Generator) -> Volume:
    """Smooth sensitivity of the coil over an image, about 1."""
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    a, b, c, d, e = (np.float32(v) for v in rng.uniform(-0.2, 0.2, 5))
    field: Volume = np.exp(a * x + b * y + c * z + d * x * x + e * y * y)
    return field
