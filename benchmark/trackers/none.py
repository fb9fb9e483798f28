"""No tracker: the record alone."""

from __future__ import annotations

from benchmark.trackers import Tracker, register


@register("none", default=True)
class NoTracker(Tracker):
    """Tracks nothing: the record alone."""
