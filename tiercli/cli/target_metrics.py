"""What one target exposes, read for a command: from its URL, from a file or from standard input."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import httpx
import typer

from tiercli.cardinality.exposition import Exposed, Shape, form_of, read_exposition, refuse_media_type
from tiercli.cardinality.exposition_grammar import PLAIN
from tiercli.cardinality.scraped_metrics import ScrapedMetrics
from tiercli.cardinality.scraping import ACCEPT, format_of
from tiercli.cli.terminal import error_console
from tiercli.errors import BackendUnreachable, InvalidInput, Location, Problem
from tiercli.lint.formats import github_annotation

_LAST_LINES = b"\n# EOF\n"


def read_target(where: str, scraped: ScrapedMetrics, shapes: dict[str, Shape] | None = None) -> Exposed:
    """The metrics at `where`: a URL, a file, or "-" for standard input; `scraped` and `shapes` as of read_exposition. A line ends
    in a line feed alone: to Prometheus a carriage return is part of it.

    Raises BackendUnreachable where a URL does not answer with metrics, InvalidInput for a file that cannot be read.
    """
    if where == "-":
        return read_exposition(_lines(sys.stdin.buffer.read()), "standard input", scraped, shapes=shapes)
    if where.startswith(("http://", "https://")):
        return _read_url(where, scraped, shapes)
    try:
        with Path(where).open("rb") as stream:
            if not stream.seekable():  # a pipe: its last line comes last
                return read_exposition(_lines(stream.read()), where, scraped, shapes=shapes)
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - len(_LAST_LINES)))
            form = form_of(_lines(stream.read()))
            stream.seek(0)
            with io.TextIOWrapper(stream, "utf-8", "surrogateescape", newline="\n") as lines:
                return read_exposition(lines, where, scraped, form, shapes)
    except OSError as error:
        problem = Problem(Location(where), error.strerror or str(error))
        raise InvalidInput("the metrics cannot be read", [problem]) from error


def _read_url(url: str, scraped: ScrapedMetrics, shapes: dict[str, Shape] | None) -> Exposed:
    try:
        answer = httpx.get(url, timeout=30.0, trust_env=False, headers={"Accept": ACCEPT})
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise BackendUnreachable(f"no metrics: {error}") from error
    if answer.status_code != 200:
        raise BackendUnreachable(f"no metrics: the target answers with HTTP {answer.status_code}")
    name = str(httpx.URL(url).copy_with(userinfo=b""))
    content_type = answer.headers.get("Content-Type", "")
    form = format_of(content_type)
    exposed = read_exposition(_lines(answer.content), name, scraped, form or PLAIN, shapes)
    if form is None and answer.content:
        refuse_media_type(exposed, name, content_type)
    return exposed


def _lines(text: bytes) -> list[str]:
    return text.decode("utf-8", "surrogateescape").split("\n")


def tell_notes(exposed: Exposed, form: str) -> None:
    """Say what only an older Prometheus refuses; `form`: of the output."""
    for note in exposed.notes:
        if form == "github":
            typer.echo(github_annotation("notice", note.found, title="budget/exposition", place=note.location))
        else:
            error_console().print(f"note: {note}", markup=False)
    if exposed.noted > len(exposed.notes):
        more = f"note: {exposed.noted - len(exposed.notes):,} more lines that only an older Prometheus refuses"
        error_console().print(more, markup=False)


def refuse_malformed(exposed: Exposed) -> None:
    """Raise InvalidInput with the lines that Prometheus would reject, if there are any: then it takes nothing of the scrape."""
    if not exposed.wrong:
        return
    more = f", {exposed.wrong - len(exposed.problems):,} more" if exposed.wrong > len(exposed.problems) else ""
    lines = f"{exposed.wrong:,} line{'s' if exposed.wrong > 1 else ''}"
    raise InvalidInput(f"{lines} that Prometheus would reject{more}", exposed.problems)
