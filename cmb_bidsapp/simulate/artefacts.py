"""What a scanner adds: limited resolution, motion, noise, and the sensitivity of its coils."""

from __future__ import annotations

import numpy as np
from scipy import fft

from cmb_bidsapp.core.arrays import Image
from cmb_bidsapp.simulate.physics import Complex

#: Share of the scans in which the head moves visibly.
MOTION_SHARE = 0.3
#: Largest motion along the phase-encoding axis in mm: a periodic one, and a jump.
PERIODIC_MM, JUMP_MM = 0.25, 0.8

#: Share of k-space that is acquired along the in-plane axes, the rest is filled with zeros, and how
#: many scans are interpolated in this way.
ACQUIRED, INTERPOLATED_SHARE = (0.5, 0.9), 0.6
#: Slices of a 2D acquisition differ in brightness by this (standard deviation).
SLICE_GAIN = 0.02


def acquired_share(rng: np.random.Generator) -> float:
    """How much of k-space a scanner acquires along each in-plane axis; 1 is all of it."""
    return float(rng.uniform(*ACQUIRED)) if rng.random() < INTERPOLATED_SHARE else 1.0


def interpolate(signal: Complex, share: float) -> Complex:
    """Leave the middle of the in-plane k-space, smoothly cut off: blur, and a little ringing.

    Parameters
    ----------
    signal
        Image space, shape ``(x, y, z)``; in plane is the first two axes.
    share
        Of k-space along each axis that was acquired, 0 to 1; from 1 on nothing changes.
    """
    if share >= 1:
        return signal
    spectrum = fft.fft2(signal, axes=(0, 1))
    for axis in (0, 1):
        k = np.abs(np.fft.fftfreq(signal.shape[axis])) / (0.5 * share)
        # A raised cosine over the outer fifth, as scanners filter.
        window = np.clip((1 - k) / 0.2, 0, 1)
        window = 0.5 - 0.5 * np.cos(np.pi * window)
        spectrum *= window.astype(np.float32).reshape([-1 if a == axis else 1 for a in range(3)])
    image: Complex = fft.ifft2(spectrum, axes=(0, 1)).astype(np.complex64)
    return image


def ghost(signal: Complex, voxel_mm: float, rng: np.random.Generator) -> Complex:
    """Let the head move along the phase-encoding axis (the second) during the acquisition.

    A periodic motion (breathing) makes ghosts, a jump blurs and rings. Every line of k-space gets
    the phase of the position at its time.

    Parameters
    ----------
    signal
        Image space, shape ``(x, y, z)``.
    voxel_mm
        Voxel size along the second axis.
    rng
        Draws the motion.
    """
    lines = signal.shape[1]
    time = np.arange(lines) / lines
    cycles, start = rng.uniform(3, 20), rng.uniform(0, 2 * np.pi)
    position = rng.uniform(0, PERIODIC_MM) * np.sin(2 * np.pi * cycles * time + start)
    # The head stays away from where it was, seldom around the center of k-space.
    position += rng.uniform(-JUMP_MM, JUMP_MM) * (time > rng.choice([0.15, 0.3, 0.7, 0.85]))
    k = np.fft.fftfreq(lines)
    order = np.fft.ifftshift(np.arange(lines))
    error = np.exp(-2j * np.pi * k * position[order] / voxel_mm).astype(np.complex64)
    k_space = fft.fft(signal, axis=1) * error[None, :, None]
    moved: Complex = fft.ifft(k_space, axis=1).astype(np.complex64)
    return moved


def add_noise(
    signal: Complex, sigma: float, rng: np.random.Generator, share: float = 1.0
) -> Complex:
    """Gaussian noise in both parts; the magnitude is Rician.

    Parameters
    ----------
    signal
        Image space, shape ``(x, y, z)``.
    sigma
        Standard deviation in each part, in the unit of the signal.
    rng
        Draws the noise.
    share
        Of k-space that was acquired: noise of an interpolated image is as coarse as the image.
    """
    noise = rng.standard_normal((2, *signal.shape), dtype=np.float32) * np.float32(sigma / share)
    noisy: Complex = signal + interpolate((noise[0] + 1j * noise[1]).astype(np.complex64), share)
    return noisy


def slice_gains(slices: int, rng: np.random.Generator) -> Image:
    """Brightness of the slices of a 2D acquisition, about 1; shape ``(1, 1, slices)``.

    Parameters
    ----------
    slices
        How many there are.
    rng
        Draws the gains.
    """
    gains: Image = rng.normal(1, SLICE_GAIN, (1, 1, slices)).astype(np.float32)
    return gains


def receive_field(shape: tuple[int, ...], rng: np.random.Generator) -> Image:
    """Smooth sensitivity of the coil over an image, about 1.

    Parameters
    ----------
    shape
        That of the image, three axes.
    rng
        Draws the field.
    """
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in shape]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    a, b, c, d, e = (np.float32(v) for v in rng.uniform(-0.2, 0.2, 5))
    field: Image = np.exp(a * x + b * y + c * z + d * x * x + e * y * y)
    return field
