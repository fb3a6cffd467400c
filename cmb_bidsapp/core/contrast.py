"""What an image shows."""

from enum import StrEnum


class Contrast(StrEnum):
    """Contrast of an image, by the BIDS suffix that it has after preparation."""

    T2STARW = "T2starw"
    T1W = "T1w"
