"""No tracker: only the record."""

from __future__ import annotations

from benchmark.trackers import Tracker, register


@register("none", default=True)
class NoTracker(Tracker):
    """Tracks nothing; only the record is written."""
