"""What one target exposes, read for a command: from its URL, from a file or from standard input."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx

from tiercli.cardinality.exposition import Exposed, ScrapedMetrics, Shape, read_exposition
from tiercli.errors import BackendUnreachable, InvalidInput, Location, Problem


def read_target(where: str, scraped: ScrapedMetrics, shapes: dict[str, Shape] | None = None) -> Exposed:
    """The metrics at `where`: a URL, a file, or "-" for standard input; `scraped` and `shapes` as of read_exposition.

    Raises BackendUnreachable where a URL does not answer with metrics, InvalidInput for a file that cannot be read.
    """
    if where == "-":
        return read_exposition(sys.stdin, "standard input", scraped, shapes)
    if where.startswith(("http://", "https://")):
        try:
            answer = httpx.get(where, timeout=30.0, trust_env=False, headers={"Accept": "text/plain"})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise BackendUnreachable(f"no metrics: {error}") from error
        if answer.status_code != 200:
            raise BackendUnreachable(f"no metrics: the target answers with HTTP {answer.status_code}")
        name = str(httpx.URL(where).copy_with(userinfo=b""))
        return read_exposition(answer.text.splitlines(), name, scraped, shapes)
    try:
        with Path(where).open(encoding="utf-8", errors="surrogateescape", newline="\n") as stream:
            return read_exposition(stream, where, scraped, shapes)
    except OSError as error:
        problem = Problem(Location(where), error.strerror or str(error))
        raise InvalidInput("the metrics cannot be read", [problem]) from error


def refuse_malformed(exposed: Exposed) -> None:
    """Raise InvalidInput with the lines that Prometheus would reject, if there are any: then it takes nothing of the scrape."""
    if not exposed.wrong:
        return
    more = f", {exposed.wrong - len(exposed.problems):,} more" if exposed.wrong > len(exposed.problems) else ""
    lines = f"{exposed.wrong:,} line{'s' if exposed.wrong > 1 else ''}"
    raise InvalidInput(f"{lines} that Prometheus would reject{more}", exposed.problems)
