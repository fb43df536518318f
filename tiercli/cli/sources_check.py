"""`tiercli sources check`: a binding against what a target exposes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from tiercli.cardinality.exposition import Shape
from tiercli.cli.lazy_group import examples
from tiercli.cli.options import TextOrJson
from tiercli.cli.target_metrics import read_target, refuse_malformed, tell_notes
from tiercli.cli.terminal import clean, output_console, plural, print_json
from tiercli.errors import CheckFailed, Location
from tiercli.lint.live.binding_check import BindingCheck, Difference, binding_metrics, check_binding
from tiercli.signals.bindings import load_binding

_METRICS_SHOWN = 4
_UNKNOWN_SHOWN = 12
_BOUNDS_SHOWN = 8


@examples(
    "tiercli sources check vllm --metrics http://vllm-a.internal:8000/metrics",
    "tiercli sources check dcgm --metrics node-1.metrics.txt     (a scrape that was kept)",
    'curl -s -H "Authorization: Bearer $KEY" $GATEWAY/metrics/ | tiercli sources check litellm --metrics -',
    "tiercli sources check vllm --metrics new.txt --format json | jq '.differences[] | select(.signals != [])'",
)
def check(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Source, one of `tiercli sources`.", show_default=False)],
    metrics: Annotated[
        str,
        typer.Option(
            "--metrics",
            metavar="FILE|URL",
            help="What one target exposes; - reads standard input.",
            show_default=False,
        ),
    ],
    form: TextOrJson = "text",
) -> None:
    """Hold a source's binding against what a target exposes. Exit 1 when a signal of the binding cannot be read there.

    It shows what is missing, renamed (a close name of the same type) or of another type, other labels and buckets, and metrics that
    the binding does not know. Only what keeps a signal from being read fails; a counter of rare events may not be there yet."""
    binding = load_binding(name, Location("NAME"))
    shapes: dict[str, Shape] = {}
    exposed = read_target(metrics, binding_metrics(binding), shapes)
    tell_notes(exposed, form)
    refuse_malformed(exposed)
    result = check_binding(binding, exposed, shapes)
    if form == "json":
        print_json({"source": name, "holds": result.holds, **asdict(result)})
    else:
        console = output_console()
        for line in _lines(name, result):
            console.print(clean(line), markup=False, highlight=False, soft_wrap=True)
    if not result.holds:
        unread = f"{len(result.unread)} of {plural(result.signals, 'signal')} of {name} cannot be read here"
        raise CheckFailed(
            f"{unread}: {', '.join(sorted(result.unread))}",
            hint="is it this source, and has it served a call? `tiercli sources show` has the versions that it was held against",
        )


def _lines(name: str, result: BindingCheck) -> Iterator[str]:
    here = f"{result.there} of {plural(result.current, 'metric')} of {name} are here, {result.series:,} series in all"
    if result.other_version:
        here += f"; {len(result.other_version)} under the names of another version"
    yield here
    unread = [one.metrics[0] for one in result.differences if one.kind == "missing" and not one.readers]
    unknown = [one for one in result.differences if one.kind == "unknown"]
    for difference in result.differences:
        if (difference.kind == "missing" and not difference.readers) or difference in unknown[_UNKNOWN_SHOWN:]:
            continue
        mark = "✗" if difference.signals else "·"
        yield f"{mark} {difference.kind:<14}{_in_words(difference)}"
        if difference.signals:
            yield f"                cannot be read: {', '.join(difference.signals)}"
        elif difference.readers:
            yield f"                a part of: {', '.join(difference.readers)}"
    if len(unknown) > _UNKNOWN_SHOWN:
        yield f"· unknown       {len(unknown) - _UNKNOWN_SHOWN} more metrics; --format json has them all"
    if unread:
        yield f"· missing       {plural(len(unread), 'metric')} that no signal reads: {_shortened(unread)}"
    for signal in result.quiet:
        yield f"· {signal}: no such event has happened yet, or its counter has another name"
    if result.holds:
        yield "✓ every signal can be read" if not result.quiet else "✓ every other signal can be read"


def _shortened(metrics: Sequence[str]) -> str:
    names = ", ".join(metrics[:_METRICS_SHOWN])
    return f"{names} and {len(metrics) - _METRICS_SHOWN} more" if len(metrics) > _METRICS_SHOWN else names


def _bounds(text: str) -> str:
    bounds = text.split(", ")
    return f"{', '.join(bounds[:_BOUNDS_SHOWN])} … {bounds[-1]}" if len(bounds) > _BOUNDS_SHOWN + 1 else text


def _in_words(difference: Difference) -> str:
    names = _shortened(difference.metrics)
    match difference.kind:
        case "missing":
            return names
        case "renamed":
            return f"{names}: {difference.found} has the same type and a close name"
        case "type" | "buckets":
            return f"{names}: {_bounds(difference.found)} (expected: {_bounds(difference.accepted)})"
        case "unknown":
            return f"{names}: {difference.found}"
        case "missing label":
            return f"{difference.accepted} of {names}"
        case "new label":
            return f"{difference.found} of {names}"
