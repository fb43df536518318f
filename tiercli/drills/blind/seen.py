"""What was seen on the dashboards: the rows of some panels at two moments, before something went wrong and now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tiercli.drills.blind.answer import Answer

Panel = tuple[str, str]  # dashboard, title
Key = tuple[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of a panel: its name and labels, its number, and where the panel draws the alarm, if it does. `text`: the number
    as the panel writes it."""

    name: str
    labels: Mapping[str, str]
    value: float
    text: str = ""
    alarm: float | None = None

    @property
    def key(self) -> Key:
        """What the same row has in common at two moments."""
        return (self.name, tuple(sorted(self.labels.items())))


Moment = Mapping[Panel, tuple[Figure, ...]]


@dataclass(frozen=True, slots=True)
class Shift:
    """A row that is there now, and what it was before: None where there was no such row."""

    panel: Panel
    figure: Figure
    before: Figure | None

    @property
    def now(self) -> float:
        """The number now."""
        return self.figure.value

    @property
    def was(self) -> float:
        """The number before; 0 where there was none."""
        return self.before.value if self.before is not None else 0.0

    def label(self, name: str) -> str:
        """A label of the row, "" for none."""
        return self.figure.labels.get(name, "")

    def __str__(self) -> str:
        was = "nothing" if self.before is None else self.before.text or f"{self.before.value:.3g}"
        row = f": {self.figure.name}" if self.figure.name else ""
        return f"{' / '.join(self.panel)}{row} {self.figure.text or f'{self.now:.3g}'}, before {was}"


@dataclass(frozen=True, slots=True)
class Seen:
    """The same panels at two moments."""

    before: Moment
    now: Moment

    def shifts(self, panel: Panel, ending: str = "", /, **labels: str) -> Iterator[Shift]:
        """The rows of a panel now, beside what they were; of those whose name ends with `ending`, with these labels."""
        were = {figure.key: figure for figure in self.before.get(panel, ())}
        for figure in self.now.get(panel, ()):
            if figure.name.endswith(ending) and all(figure.labels.get(key) == wanted for key, wanted in labels.items()):
                yield Shift(panel, figure, were.get(figure.key))

    def gone(self, panel: Panel) -> Iterator[Figure]:
        """Rows that were there before and are gone."""
        present = {figure.key for figure in self.now.get(panel, ())}
        return (figure for figure in self.before.get(panel, ()) if figure.key not in present)


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer that the panels speak for: how strongly, among findings of the same kind, and the rows that say so."""

    answer: Answer
    strength: float
    shown: tuple[str, ...]
