"""Simulated time to configured time: every duration in generated configuration passes through here."""

from __future__ import annotations

from dataclasses import dataclass

from tiercli.durations import format_duration, parse_duration

# What a small machine can keep up with, and what rate() needs for a steady value.
SHORTEST_INTERVAL_S = 0.25
SCRAPES_PER_WINDOW = 5
# Two scrapes and a bit: the shortest window in which increase() sees a change.
_SHORTEST_WINDOW_SCRAPES = 2.5


@dataclass(frozen=True, slots=True)
class Timing:
    """Durations divided by `factor`; 1 in production. Intervals are those of the catalog, in simulated seconds.

    Latencies are real and are not divided; neither is a rate, which is per real second.
    """

    factor: float = 1.0
    scrape_interval_s: float = 15.0
    evaluation_interval_s: float = 15.0
    shortest_windows: bool = False  # every window is as short as the data allows

    def compress(self, seconds: float) -> float:
        """`seconds` of simulated time in configured seconds."""
        return seconds / self.factor

    @property
    def scrape_s(self) -> float:
        """Configured seconds from one scrape to the next, never shorter than SHORTEST_INTERVAL_S."""
        return self._interval(self.scrape_interval_s)

    @property
    def shortest_window_s(self) -> float:
        """Configured seconds of the shortest window in which a rate sees a change."""
        return _SHORTEST_WINDOW_SCRAPES * self.scrape_s

    @property
    def evaluation_s(self) -> float:
        """Configured seconds from one rule evaluation to the next."""
        return self._interval(self.evaluation_interval_s)

    def group_interval_s(self, text: str | None) -> float:
        """Configured seconds between evaluations of a rule group whose own interval is `text`; None: the default one."""
        if text is None:
            return self.evaluation_s
        return max(self.evaluation_s, round(self.compress(parse_duration(text)), 3))

    def duration(self, text: str) -> str:
        """A Prometheus duration for the simulated duration `text`: for, offset, group_wait, keep_firing_for. Only 0s is 0s."""
        seconds = parse_duration(text)
        return format_duration(max(self.compress(seconds), 0.001) if seconds else 0.0)

    def window_s(self, text: str) -> float:
        """Configured seconds of a rate window, at least five scrapes long."""
        if self.shortest_windows:
            return self.shortest_window_s
        return max(self.compress(parse_duration(text)), SCRAPES_PER_WINDOW * self.scrape_s)

    def window(self, text: str) -> str:
        """A range selector's duration for the simulated window `text`, at least five scrapes long."""
        return format_duration(self.window_s(text))

    def bounds(self, windows: tuple[str, ...] = ()) -> tuple[str, ...]:
        """A sentence for each duration that could not be compressed by the whole factor, for the report; usually empty."""
        sentences = []
        for name, interval in (("scrape", self.scrape_interval_s), ("evaluation", self.evaluation_interval_s)):
            if self.factor > 1 and interval / self.factor < SHORTEST_INTERVAL_S:
                sentences.append(
                    f"the {name} interval is {SHORTEST_INTERVAL_S:g} s, not {interval / self.factor:.3g} s"
                )
        sentences.extend(
            f"the {text} window is {self.window_s(text):.3g} s, not {self.compress(parse_duration(text)):.3g} s"
            for text in windows
            if self.window_s(text) > self.compress(parse_duration(text)) + 1e-9
        )
        return tuple(sentences)

    def _interval(self, simulated_s: float) -> float:
        if self.factor == 1:
            return simulated_s
        return max(round(simulated_s / self.factor, 3), SHORTEST_INTERVAL_S)  # what a configuration can say
