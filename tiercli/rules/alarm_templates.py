"""The {{ }} of files in templates/alerts/: durations, labels, thresholds, and the inputs of unit tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import jinja2
from jinja2.filters import do_indent as indent

from tiercli.catalog.model import Catalog
from tiercli.conventions import ENV_LABEL, ESTATE_LABEL, GATEWAY_JOB, SERVERS_JOB
from tiercli.durations import duration_in_words, format_duration, parse_duration
from tiercli.rules.case_subjects import Subjects
from tiercli.rules.thresholds import ThresholdExpressions, threshold_of
from tiercli.signals.contract import CODES_OF_NO_OUTAGE
from tiercli.signals.promql import any_of, matcher, selector
from tiercli.signals.sources import LocalTargets, local_targets
from tiercli.signals.timing import Timing
from tiercli.time_zones import utc_offset_s

Raw = Callable[..., str]  # raw_signals of recording.py

# How annotations quote $value; unit_tests.py expands them as Prometheus does.
VALUE_FORMATS = {
    "count": '{{ $value | printf "%.0f" }}',
    "seconds": '{{ $value | printf "%.2f" }} s',
    "percent": "{{ $value | humanizePercentage }}",
    "usd": '{{ $value | printf "%.2f" }} USD',
    "number": '{{ $value | printf "%.3g" }}',
}


def template_environment(timing: Timing) -> jinja2.Environment:
    """Jinja for configuration: undefined names are errors, and durations pass through `timing`.

    Filters: "5m" | duration; "5m" | window (a rate window, at least five scrapes long); "5m" | seconds (a number, for
    arithmetic); "5m" | window_seconds (the length of that window, as a number); text | indented (a block of YAML for an
    expression of several lines); and total, the sum of durations that have passed one of these already.
    """
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - configuration, not HTML
        trim_blocks=True,
    )
    environment.filters["duration"] = timing.duration
    environment.filters["window"] = timing.window
    environment.filters["seconds"] = lambda text: timing.compress(parse_duration(text))
    environment.filters["window_seconds"] = timing.window_s
    environment.filters["indented"] = lambda text: "|\n" + indent(text, 6, first=True)
    environment.filters["total"] = lambda texts: format_duration(sum(parse_duration(text) for text in texts))
    environment.globals["shortest_window"] = format_duration(timing.shortest_window_s)
    return environment


@lru_cache(maxsize=256)
def compiled_template(text: str, timing: Timing) -> jinja2.Template:
    """A template of template_environment(), cached: compiling is most of the work, and many are rendered several times."""
    return template_environment(timing).from_string(text)


def record_context(catalog: Catalog, timing: Timing) -> dict[str, Any]:
    """The names that a file of templates/recording/ can use."""
    return {
        "no_outage_codes": any_of(CODES_OF_NO_OUTAGE),
        "ours": ", ".join(our_matchers(catalog)),
        "servers_job": SERVERS_JOB,
        "utc_offset_s": utc_offset_s(catalog.time_zone),
    }


def our_matchers(catalog: Catalog) -> tuple[str, str]:
    """Matchers of this estate's own alerts."""
    return matcher(ESTATE_LABEL, "=", catalog.estate), matcher(ENV_LABEL, "=", catalog.env)


def alarm_context(
    name: str, catalog: Catalog, identity: Sequence[str], limits: Mapping[str, float], subjects: Subjects, raw: Raw
) -> dict[str, Any]:
    """The names that an alarm's template can use. `limits`: its thresholds in this catalog; `subjects`: the labels of its unit
    tests; `raw`: what a primitive series is made of, in the shortest window."""

    def limit(threshold: str, labels: Mapping[str, str] | None = None) -> float:
        return threshold_of(catalog, name, threshold, limits, subjects.subject if labels is None else labels)

    def stated(threshold: str, unit: Literal["", "percent"] = "") -> str:
        value = limit(threshold, {})
        return f"{100 * value:.4g} %" if unit == "percent" else f"{value:.6g}"

    def held(own: str, after: str = "0s") -> str:
        settings = catalog.alarms.get(name)
        for_ = settings.for_ if settings is not None and settings.for_ is not None else own
        return duration_in_words(parse_duration(for_) + parse_duration(after))

    return {
        "group_interval": catalog.alertmanager.group_interval,
        "no_outage_codes": any_of(CODES_OF_NO_OUTAGE),
        "gateway": matcher("job", "=", GATEWAY_JOB),
        "gateway_a": {"job": GATEWAY_JOB, "instance": "gateway-a:9100"},
        "gateway_b": {"job": GATEWAY_JOB, "instance": "gateway-b:9100"},
        "local_targets": _target_labels(catalog),
        "label": lambda label: f"{{{{ $labels.{label} }}}}",
        "optional_label": optional_label,
        "value": lambda unit: VALUE_FORMATS[unit],
        "raw": raw,
        "ours": ", ".join(our_matchers(catalog)),
        "limit": limit,
        "service_level_s": catalog.service_level.latency_seconds,
        "stated": stated,
        "held": held,
        # Not 1.01: what two decimals are rounded to would be a tie, which VictoriaMetrics decides otherwise.
        "above": lambda value: value * 1.0137 if value else 0.01,
        "below": lambda value: value * 0.99 if value else -0.01,
        "series": lambda metric, labels, **more: _yaml_text(selector(metric, {**labels, **more})),
        "only": lambda labels, *names: {name: labels[name] for name in names},
        "labels": lambda labels: _yaml_flow({key: labels[key] for key in identity if key in labels}),
        **ThresholdExpressions(catalog, name, identity, limits).names(),
        **subjects.label_sets(),
    }


def optional_label(label: str) -> str:
    """A label for an annotation, after a space, where the alert has it."""
    return f"{{{{ with $labels.{label} }}}} {{{{ . }}}}{{{{ end }}}}"


def _target_labels(catalog: Catalog) -> list[dict[str, dict[str, str]]]:
    """Every scrape target of the local tier, or an invented one: its labels where it is scraped (`up`), and those of the alerts
    about it while it does not answer (`down`) and while it is gone (`gone`)."""
    found = []
    for job, target, addresses in tuple(local_targets(catalog)) or (LocalTargets(SERVERS_JOB, "server-0", ("a:80",)),):
        server = {"server": target} if job == SERVERS_JOB else {}
        for address in addresses:
            found.append(
                {
                    "up": {"job": job, "instance": address, **server},
                    "down": {"job": job, "target": server.get("server", address)},
                    "gone": {"job": job, "target": target},
                }
            )
    return found


def _yaml_text(text: str) -> str:
    """`text` as YAML: a JSON string is one."""
    return json.dumps(text, ensure_ascii=False)


def _yaml_flow(labels: Mapping[str, str]) -> str:
    return "{" + ", ".join(f"{key}: {_yaml_text(value)}" for key, value in labels.items()) + "}"
