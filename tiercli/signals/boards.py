"""Board files: templates/dashboards/, and those of an operator's own folders. What they say is known to rules, which link to
panels, and to dashboards, which build them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

import jinja2
from pydantic import Field, PositiveInt

from tiercli.catalog.document import Document, parse_document, read_text
from tiercli.catalog.field_types import Model, PlainName
from tiercli.catalog.model import Catalog
from tiercli.catalog.names import unknown_name
from tiercli.catalog.shape import load_model
from tiercli.conventions import ENV_LABEL, ESTATE_LABEL, GATEWAY_JOB, WATCHDOG
from tiercli.errors import InvalidInput, Location, Problem
from tiercli.resources import resource_folder
from tiercli.signals.contract import METRICS_BY_NAME
from tiercli.signals.label_policy import TENANT, metric_policies
from tiercli.signals.promql import matcher
from tiercli.signals.template_lines import ANGLE, lines_of, marked, relocated

SUFFIX = ".yml.j2"
FOLDER = "dashboards"  # below an operator's folder of templates
FIRING = "Firing alarms"  # the title of a panel of type firing
COLUMNS = 24

Width = Annotated[int, Field(ge=1, le=COLUMNS)]
Step = tuple[int | float | None, str]  # a lower bound, None for the first, and its colour
State = tuple[int, str, str]  # a value, its text and its colour
PanelType = Literal[
    "timeseries", "stat", "table", "comparison", "bar-gauge", "state-timeline", "text", "firing"
]  # fmt: skip


class Query(Model):
    """One query of a panel. `style`: how its line is drawn. `column` and `unit`: of a comparison, which has one a query."""

    expr: str
    legend: str = ""
    style: Literal["signal", "baseline", "threshold"] = "signal"
    column: str = ""
    unit: str = "short"


class Link(Model):
    """A link to another board, which gets these variables from the labels of what is clicked, and keeps the time range."""

    title: str
    board: str
    variables: tuple[str, ...] = ()


class Column(Model):
    """How a table shows one of its columns."""

    decimals: int | None = None
    thresholds: tuple[Step, ...] = ()
    colors: dict[str, str] = {}
    link: Link | None = None


class Panel(Model):
    """A panel. Its id never changes and is never used again: links hold by it. `size`: of 24 columns, and rows. `matching`: the
    label matchers of the alarms that a panel of type firing lists."""

    id: PositiveInt
    title: str = FIRING
    type: PanelType
    size: tuple[Width, PositiveInt]
    unit: str = "short"
    description: str = ""
    queries: tuple[Query, ...] = ()
    thresholds: tuple[Step, ...] = ()
    decimals: int | None = None
    states: tuple[State, ...] = ()
    columns: dict[str, Column] = {}
    hidden: tuple[str, ...] = ()
    renamed: dict[str, str] = {}
    first: str | None = None
    links: tuple[Link, ...] = ()
    matching: str | None = None
    markdown: str | None = None


class Variable(Model):
    """A variable that Prometheus fills; several of its values, or all, can be chosen."""

    name: PlainName
    label: str
    query: str


class Board(Model):
    """A board. `order`: its place in lists. `replaces`: it takes the place of tiercli's own board of the same name."""

    title: str
    description: str
    order: PositiveInt = 100
    replaces: bool = False
    variables: tuple[Variable, ...] = ()
    panels: Annotated[tuple[Panel, ...], Field(min_length=1)]

    def panel_ids(self) -> dict[str, int]:
        """The id of each panel by its title."""
        return {panel.title: panel.id for panel in self.panels}


# What a panel of each type needs beyond what all have, and what it may have.
_NEEDS: Mapping[str, tuple[frozenset[str], frozenset[str]]] = {
    "timeseries": (frozenset({"queries", "description"}), frozenset({"decimals", "links", "thresholds"})),
    "stat": (frozenset({"queries", "description", "thresholds"}), frozenset({"decimals", "links"})),
    "table": (frozenset({"queries", "description"}), frozenset({"columns", "hidden", "renamed"})),
    "comparison": (frozenset({"queries", "description", "first"}), frozenset({"columns", "renamed"})),
    "bar-gauge": (frozenset({"queries", "description"}), frozenset({"decimals", "links"})),
    "state-timeline": (frozenset({"queries", "description", "states"}), frozenset({"links"})),
    "text": (frozenset({"markdown", "description"}), frozenset()),
    "firing": (frozenset({"matching"}), frozenset()),
}
_OF_ALL = frozenset({"id", "title", "type", "size", "unit"})


def board_paths(folders: Sequence[Path] = ()) -> dict[str, Path]:
    """The file of each board by name; the first of `folders` that has it wins, tiercli's own is last."""
    paths: dict[str, Path] = {}
    for folder in (*(folder / FOLDER for folder in folders), _own_folder()):
        for path in sorted(folder.glob(f"*{SUFFIX}")):
            paths.setdefault(path.name.removesuffix(SUFFIX), path)
    return paths


def load_boards(catalog: Catalog, folders: Sequence[Path] = ()) -> dict[str, Board]:
    """Every board by name, in the order of lists. Raises InvalidInput with every problem of the files."""
    paths = board_paths(folders)
    boards: dict[str, Board] = {}
    problems: list[Problem] = []
    files: dict[str, tuple[_BoardFile, Document]] = {}
    for name, path in paths.items():
        file = _BoardFile(path, read_text(path), catalog)
        try:
            document, board = file.load()
            problems += file.relocated(list(_problems(name, path, board, document, paths)))
            boards[name], files[name] = board, (file, document)
        except InvalidInput as error:
            problems += file.relocated(error.problems)
    for name, (file, document) in files.items():
        problems += file.relocated(list(_link_problems(boards[name], document, boards)))
    if problems:
        raise InvalidInput("boards that cannot be built", problems)
    return dict(sorted(boards.items(), key=lambda item: (item[1].order, item[0])))


class _BoardFile:
    """The text of a board file, and what it was rendered to for a catalog."""

    def __init__(self, path: Path, text: str, catalog: Catalog) -> None:
        self._path, self._text, self._context = path, text, _context(catalog)
        self._rendered = ""

    def load(self) -> tuple[Document, Board]:
        """The board. Raises InvalidInput: of what cannot be rendered at the template's line, of all else at the rendered text's."""
        try:
            self._rendered = _compiled(self._text).render(self._context)
        except jinja2.TemplateSyntaxError as error:
            raise self._failure(str(error.message), error.lineno) from error
        except (jinja2.TemplateError, ValueError, TypeError, AttributeError, ArithmeticError, LookupError) as error:
            raise self._failure(str(error), 0) from error
        document = parse_document(self._rendered, str(self._path))
        return document, load_model(document, Board)

    def relocated(self, problems: Sequence[Problem]) -> list[Problem]:
        """`problems` at the lines of the file in place of those of its rendered text."""
        if not self._rendered:
            return list(problems)
        return relocated(problems, str(self._path), self._text, self._rendered, self._lines)

    def _lines(self) -> list[int]:
        try:
            return lines_of(_compiled(marked(self._text, ANGLE)).render(self._context))
        except (jinja2.TemplateError, ValueError, TypeError, AttributeError, ArithmeticError, LookupError):
            return []  # a mark broke the template

    def _failure(self, message: str, line: int) -> InvalidInput:
        return InvalidInput(f"{self._path} cannot be rendered", [Problem(Location(str(self._path), line), message)])


@lru_cache(maxsize=128)
def _compiled(text: str) -> jinja2.Template:
    """A template whose tags are << >>, <% %> and <# #>: curly braces are Grafana's and PromQL's."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - configuration, not HTML
        trim_blocks=True,
        keep_trailing_newline=True,
        variable_start_string="<<",
        variable_end_string=">>",
        block_start_string="<%",
        block_end_string="%>",
        comment_start_string="<#",
        comment_end_string="#>",
    )
    return environment.from_string(text)


def _context(catalog: Catalog) -> dict[str, Any]:
    """The names that a board file can use: the catalog; matchers of its own alerts; the series that has every name of a tenant; how
    many series a metric has; the sum of a day; what stands for alerts where no rule is evaluated; and a zero for what has not happened yet, which is
    no data where no gateway is scraped."""
    groups = {policy.recorded for policy in metric_policies(catalog).values() if TENANT in policy.labels}
    tenants = "tier:tenant:budget_usd" if len(groups) == 1 else '{__name__=~"tier:tenant:(budget_usd|calls:rate5m)"}'
    return {
        "catalog": catalog,
        "ours": our_matchers(catalog),
        "tenant_series": tenants,
        "series_of": _series_of,
        "last_day": _last_day,
        "no_rules": no_rules(our_matchers(catalog)),
        "zero_while_scraped": f"0 * count(up{{{matcher('job', '=', GATEWAY_JOB)}}} == 1)",
    }


def our_matchers(catalog: Catalog) -> str:
    """Label matchers of this estate's own alerts. A `$` would be a variable to Grafana: the names have none."""
    return f"{matcher(ESTATE_LABEL, '=', catalog.estate)}, {matcher(ENV_LABEL, '=', catalog.env)}"


def no_rules(ours: str) -> str:
    """PromQL for a row that stands among the firing alerts where the one that always fires does not: no other could either.
    `ours`: matchers of this estate's own alerts."""
    silent = f'absent(ALERTS{{{matcher("alertname", "=", WATCHDOG)}, alertstate="firing", {ours}}})'
    return f'label_replace({silent}, "alertname", "no data: the rules are not evaluated", "", "")'


def _series_of(metric: str) -> str:
    """PromQL for how many series a metric has, all parts of a histogram together."""
    known = METRICS_BY_NAME.get(metric)
    names = known.exposed_names if known is not None else (metric,)
    return " + ".join(f"count({name})" for name in names)


def _last_day(quantity: str, labels: str = "") -> str:
    """PromQL for what `quantity`, for example tier:tenant:calls, grew by in the last 24 hours, for the series with `labels`: the
    growths that are counted; what they lag behind now, and did a day ago; and, at the rate of now, the time since the last
    evaluation."""
    lead = f"{quantity}:lead{labels}"
    return (
        f"sum(sum_over_time({quantity}:grown{labels}[24h])) "
        f"+ (sum({lead}) or vector(0)) - (sum({lead} offset 24h) or vector(0)) "
        f"+ (sum({quantity}:rate5m{labels}) * (time() - max(timestamp({lead}))) or vector(0))"
    )


def _problems(name: str, path: Path, board: Board, document: Document, paths: Mapping[str, Path]) -> Iterator[Problem]:
    shipped = _own_folder() / path.name
    if path != shipped and shipped.is_file() != board.replaces:
        found = f"tiercli has a board {name}" if shipped.is_file() else f"tiercli has no board {name} to replace"
        accepted = "another file name, or `replaces: true`" if shipped.is_file() else "no `replaces`"
        yield Problem(Location(str(path), 1), found, accepted)
    seen: dict[str, set[Any]] = {"id": set(), "title": set()}
    for at, panel in enumerate(board.panels):
        for key, values in seen.items():
            value = getattr(panel, key)
            if value in values:
                yield Problem(document.locate(("panels", at, key)), f"{key} {value!r} is there twice", f"another {key}")
            values.add(value)
        yield from _panel_problems(panel, at, document)
        for link_at, link in _links(panel, at):
            if link.board not in paths:
                yield unknown_name("board", link.board, paths, document.locate((*link_at, "board")))


def _panel_problems(panel: Panel, at: int, document: Document) -> Iterator[Problem]:
    needed, allowed = _NEEDS[panel.type]
    stated = panel.model_fields_set
    for key in sorted(needed - stated):
        yield Problem(document.locate(("panels", at)), f"a panel of type {panel.type} without {key}", f"{key}: …")
    for key in sorted(stated - needed - allowed - _OF_ALL):
        place = document.locate(("panels", at, key), key=True)
        yield Problem(place, f"a panel of type {panel.type} has no {key}", ", ".join(sorted(needed | allowed)))
    if panel.type == "comparison":
        columns = [query.column for query in panel.queries]
        if panel.first is not None and panel.first not in columns:
            yield unknown_name("column", panel.first, columns, document.locate(("panels", at, "first")))


def _links(panel: Panel, at: int) -> Iterator[tuple[tuple[str | int, ...], Link]]:
    for number, link in enumerate(panel.links):
        yield ("panels", at, "links", number), link
    for name, column in panel.columns.items():
        if column.link is not None:
            yield ("panels", at, "columns", name, "link"), column.link


def _link_problems(board: Board, document: Document, boards: Mapping[str, Board]) -> Iterator[Problem]:
    """Variables of links that the board they lead to does not have; a board that could not be read has any."""
    for at, panel in enumerate(board.panels):
        for link_at, link in _links(panel, at):
            if link.board in boards:
                known = [variable.name for variable in boards[link.board].variables]
                for number, name in enumerate(link.variables):
                    if name not in known:
                        place = document.locate((*link_at, "variables", number))
                        yield unknown_name("variable", name, known, place, f" of board {link.board!r}")


def _own_folder() -> Path:
    return resource_folder("templates") / FOLDER
