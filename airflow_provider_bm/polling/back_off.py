"""How much less often is asked after failures."""

from __future__ import annotations

#: After failures the pause doubles, up to this many seconds (or the interval, if that is longer).
LONGEST = 300.0
#: More doublings than any interval needs to get there; a power of a number that grows for ever is no float.
_MOST_DOUBLINGS = 60


def pause_after(failures: int, interval: float) -> float:
    """Seconds until the next look.

    :param failures: looks in a row that have failed
    :param interval: seconds between two looks
    """
    if failures < 2:
        return interval
    doubled = interval * 2.0 ** min(failures - 1, _MOST_DOUBLINGS)
    return min(doubled, max(interval, LONGEST))
