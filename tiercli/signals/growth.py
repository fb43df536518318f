"""Sums of what counters grew by, over days and months, in PromQL: docs/decisions/0015-sums-of-growths.md."""

from __future__ import annotations

from tiercli.signals.timing import Timing

# What they grew by is taken over this window: a multiple of the interval of its group, so that each growth counts as often as any
# other. A gap in scraping is bridged that is no longer than LONGEST_GAP.
GROWTH_WINDOW = "6m"
LONGEST_GAP = "3h"


class Growth:
    """Sums of what counters grew by, over days, as expressions over the counters of one scrape job (`job`: its matcher).

    `grown(in_window(series), labels)`, evaluated again and again, sums up to what the counters grew by: each time what they grew by in
    GROWTH_WINDOW, times the share of the window since the last evaluation. So each growth counts once, however often rules are
    evaluated. Such a sum lags; `lead(above_mean(series), labels)` is what it has yet to count. A binding renames labels of its source
    between the two calls.
    """

    def __init__(self, job: str, timing: Timing) -> None:
        self._up = f"up{{{job}}}"
        self._span, self._back = timing.window(GROWTH_WINDOW), timing.window(LONGEST_GAP)
        window_s = timing.window_s(GROWTH_WINDOW)
        # After a pause of more than two windows it is unknown, and nothing is counted.
        last = f"max(last_over_time(tier:calendar:tick:seconds[{timing.window('12m')}]))"
        self._share = f"((time() - {last}) / {window_s:g})"

    def grown(self, growths: str, labels: str) -> str:
        """By `labels`, for example "tenant", the sum of `growths` (of in_window) since the last evaluation."""
        return f"sum by ({labels}) ({growths}) * on () group_left () {self._share}"

    def lead(self, heights: str, labels: str) -> str:
        """By `labels`, what the sum of `grown` has yet to count, from `heights` (of above_mean)."""
        return f"sum by ({labels}) ({heights}) * on () group_left () (1 - {self._share})"

    def in_window(self, series: str) -> str:
        """What each counter grew by in the window, without extrapolation: its last value less the last one before the window,
        which may be as old as LONGEST_GAP. After a reset within the window increase() knows more; after one in a gap the value
        itself is what is known. A counter that appears while its target was scraped began at zero; of one that appears with its
        target only what it grows by is known."""
        now, before = (
            f"last_over_time({series}[{self._span}])",
            f"last_over_time({series}[{self._back}] offset {self._span})",
        )
        no_reset = f"unless (resets({series}[{self._span}]) > 0)"
        born = f"(({now} unless {series} offset {self._span}) and on (job, instance) ({self._up} offset {self._span} == 1))"
        return (
            f"((({now} - ({before} <= {now})) {no_reset}) or (({now} < {before}) {no_reset}) or {born} "
            f"or increase({series}[{self._span}]))"
        )

    def above_mean(self, series: str) -> str:
        """How far each counter is above its mean of the window."""
        ahead = f"(last_over_time({series}[{self._span}]) - avg_over_time({series}[{self._span}]))"
        return f"(({ahead} unless (resets({series}[{self._span}]) > 0)) or 0.5 * increase({series}[{self._span}]))"
