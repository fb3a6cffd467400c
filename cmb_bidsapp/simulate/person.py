"""A simulated person: a head with what lies in it, from one session to the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from nibabel.affines import apply_affine
from scipy import ndimage

from cmb_bidsapp.core.arrays import Affine
from cmb_bidsapp.simulate.anatomy import Head, rotation
from cmb_bidsapp.simulate.physics import Source


def random_rigid(rng: np.random.Generator, degrees: float, mm: float) -> Affine:
    """A small rigid motion about the origin, shape ``(4, 4)``, mm.

    Parameters
    ----------
    rng
        Draws it, evenly.
    degrees, mm
        Largest rotation about each axis and largest shift along it.
    """
    motion = np.eye(4)
    motion[:3, :3] = rotation(rng.uniform(-degrees, degrees, 3))
    motion[:3, 3] = rng.uniform(-mm, mm, 3)
    return motion


@dataclass(frozen=True, kw_only=True)
class Person:
    """A head and what lies in it.

    Attributes
    ----------
    head
        Anatomy, 1 mm, head space.
    microbleeds, mimics, inclusions
        In head space (mm); microbleeds keep their order through time.
    origin
        Point of head space (mm) that is the origin of the world.
    """

    head: Head
    microbleeds: Sequence[Source]
    mimics: Sequence[Source]
    inclusions: Sequence[Source]
    origin: npt.NDArray[np.float64]

    @classmethod
    def of(
        cls,
        head: Head,
        microbleeds: Sequence[Source] = (),
        mimics: Sequence[Source] = (),
        inclusions: Sequence[Source] = (),
    ) -> Person:
        """Put a person into the world: its origin is the middle of the brain.

        Parameters
        ----------
        head
            Anatomy, 1 mm, head space.
        microbleeds, mimics, inclusions
            In head space (mm).
        """
        return cls(
            head=head,
            microbleeds=microbleeds,
            mimics=mimics,
            inclusions=inclusions,
            origin=np.argwhere(head.brain).mean(axis=0),
        )

    def moved(self, motion: Affine) -> Person:
        """The same person, who lies elsewhere in the scanner.

        ``motion`` is rigid, from old to new world coordinates (mm). Parts of the head that leave
        its volume are cut off.
        """
        to_world = np.eye(4)
        to_world[:3, 3] = -self.origin
        there = np.linalg.inv(to_world) @ motion @ to_world
        back = np.linalg.inv(there)
        dseg = ndimage.affine_transform(
            self.head.dseg, back[:3, :3], back[:3, 3], order=0, mode="constant"
        )
        microbleeds, mimics, inclusions = (
            [replace(source, path=apply_affine(there, source.path)) for source in sources]
            for sources in (self.microbleeds, self.mimics, self.inclusions)
        )
        return Person(
            head=Head(dseg),
            microbleeds=microbleeds,
            mimics=mimics,
            inclusions=inclusions,
            origin=self.origin,
        )
