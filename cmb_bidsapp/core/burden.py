"""Classes of a number of microbleeds: 0, 1, 2-4, 5-9, 10 or more.

The limits 2, 5 and 10 are those of the pooled cohorts of Wilson et al. 2019 (Lancet Neurol 18:653).
"""

from bisect import bisect_right

#: Smallest count of each class, and its name.
BURDEN_LIMITS = (0, 1, 2, 5, 10)
BURDEN_NAMES = ("0", "1", "2-4", "5-9", "10 or more")


def burden_class(count: int) -> int:
    """Position of the class in :data:`BURDEN_NAMES`.

    >>> [BURDEN_NAMES[burden_class(n)] for n in (0, 1, 4, 9, 30)]
    ['0', '1', '2-4', '5-9', '10 or more']
    """
    return bisect_right(BURDEN_LIMITS, count) - 1
