"""Scans to draw microbleeds into, and a stand-in for a network: it marks dark spots."""

import numpy as np
from scipy import ndimage

from cmb_bidsapp.lesions.segment import Segmentation
from cmb_bidsapp.sensitivity.background import Background

AFFINE = np.array([[1.0, 0, 0, -40], [0, 1, 0, -40], [0, 0, 3, -25], [0, 0, 0, 1]])
SHAPE = (80, 84, 18)


def background(t2star, regions, affine=AFFINE, marks=None):
    nothing = np.zeros(t2star.shape, bool)
    return Background(
        t2star=t2star.astype(np.float32),
        t1w=np.zeros(t2star.shape, np.float32),
        affine=affine,
        regions=regions.astype(np.uint8),
        tissues=None,
        suspected=nothing,
        marks=nothing if marks is None else marks,
        lesions=None,
        doubtful=nothing,
        mimics=None,
        b0=3.0,
        te_ms=20.0,
    )


def plain_scan(marks=None):
    """Flat tissue with noise; lobar above, deep to the left, infratentorial below."""
    regions = np.zeros(SHAPE, np.uint8)
    regions[4:-4, 4:-4, 1:-1] = 1
    regions[4:30, 4:-4, 1:-1] = 2
    regions[30:-4, 4:40, 1:-1] = 3
    noise = np.random.default_rng(0).normal(400, 8, SHAPE)
    return background(np.where(regions > 0, noise, 0), regions, marks=marks)


class DarkSpots:
    """Marks what is darker than its surroundings by a share, and a few voxels large."""

    def __init__(self, share, least=3):
        self.share, self.least = share, least
        self.looked = []

    def window(self, affine):
        return (30.0, 30.0, 10.0)

    def __call__(self, t2star, t1w, affine, around=None, tissues=None):
        inside = t2star > 0
        usual = ndimage.median_filter(t2star, (11, 11, 1))
        dark = inside & (t2star < (1 - self.share) * usual)
        if around is not None:
            self.looked.append(around)
            seen = np.zeros(dark.shape, bool)
            for center in around:
                low = np.maximum(np.round(center - np.array([15, 15, 5])), 0).astype(int)
                seen[tuple(slice(a, a + n) for a, n in zip(low, (30, 30, 10), strict=True))] = True
            dark &= seen
        pieces, count = ndimage.label(dark, np.ones((3, 3, 3)))
        sizes = ndimage.sum_labels(dark, pieces, np.arange(count + 1))
        found = (sizes >= self.least)[pieces] & dark
        return Segmentation(inside.astype(np.uint8), np.where(found, 0.9, 0).astype(np.float32))
