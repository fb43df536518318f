"""Every pane and every rule of the shipped catalogs, over real Prometheus servers that scrape all that the sources of each
catalog can expose: what could never have data there is left out."""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import promql_parser
import pytest
import yaml
from prometheus_client import generate_latest

from tests.cardinality.test_plan_counts import label_sets
from tests.cardinality.test_plan_exact import prometheus_of
from tests.cardinality.vendor_exposition import as_text, gateway_sets, local_texts
from tests.clients.live_servers import Answer
from tests.conftest import HYBRID
from tests.contract_metrics import ContractMetrics
from tiercli.catalog.loading import LoadedCatalog, load_catalog
from tiercli.catalog.model import Catalog
from tiercli.clients.prometheus import PrometheusClient
from tiercli.dashboards import render_dashboards
from tiercli.dashboards.read.board import parse_board
from tiercli.dashboards.read.interpolation import fill_any
from tiercli.output.tree import RULES_PATH
from tiercli.rules.alarm_files import load_alarm_set
from tiercli.sandbox.stack.binaries import StackBinaries
from tiercli.signals.bindings import CANONICAL_BINDING, known_binding
from tiercli.signals.contract import METRICS_BY_NAME, MetricType
from tiercli.signals.label_policy import metric_policies
from tiercli.signals.parsed import parse, walk
from tiercli.signals.timing import Timing

CATALOGS = sorted(HYBRID.parent.glob("*.yaml"))
# An hour is nine seconds, and five minutes are two scrapes.
TIMING = Timing(factor=400, scrape_interval_s=160, evaluation_interval_s=160)
WITHIN_S = 90.0  # on a busy machine; half a minute is usual
Silent = dict[str, set[str]]  # an expression without data, and where it stands

_OF_LABEL = re.compile(r"label_values\((.*), *\w+\)")
# What such a gateway says where an exposition has a number for each value that a label can have.
_SAYS = {
    "litellm": {
        "status_code": ("200", "429", "500"),
        "exception_class": ("Openai.RateLimitError", "Openai.InternalServerError", "Openai.SomethingNew"),
    },
    # A version that names the provider does not set the label that named it before.
    "otel-genai": {"error_type": ("", "429", "500", "timeout"), "gen_ai_system": ("",)},
}
# So little that alarms stay quiet: what is usual is known of quiet times only.
_SELDOM = re.compile(r'error(?!_type="")|fail|fallback|refusal|unpriced|violation|denial|cost|spend|status="failure"')

# Without data though nothing is missing: the catalogs, the expression, and the reason.
QUIET = (
    (".*", r'.*ALERTS\{alertstate="firing".*', "no alarm fires where nothing is wrong"),
    (
        ".*",
        r"tier:provider:typical_\w+:\w+",
        "what is typical need not be stated: a baseline or a default takes its place",
    ),
    (".*", r"tier:server:expected_targets:count\{job!=.*", "there need not be an exporter of GPUs beside the servers"),
    (
        ".*",
        r".*tier:drift:(value:baseline|change|departure:ratio).*",
        "a baseline is a day old at the least: tests/rules/test_estates_from_outside.py lets days go by",
    ),
    (
        "minimal|starter",
        r".*tier:tenant:zone_violations:increase.*",
        "every tenant may be served anywhere; a gateway that says otherwise is to be heard all the same",
    ),
    (
        "litellm-vllm",
        r'tier:drift:[a-z0-9:]+\{.*signal=~?"(eval score|output tokens per call|refusal rate|postcondition rate)".*',
        "each signal has its own rule and its own part of a query, and the others answer",
    ),
)


def growing(text: str) -> Answer:
    """Answers scrapes with `text`, in which what is 1 grows each time: by a hundred, or by next to nothing where it is seldom."""
    lines = []
    for line in text.splitlines():
        grows = re.fullmatch(r"([^#].*) 1(\.0)?", line)
        lines.append(f"{grows[1]} {'@seldom' if _SELDOM.search(line) else '@often'}" if grows else line)
    template, scrapes = "\n".join(lines) + "\n", itertools.count(1)

    def answer(_: str) -> tuple[int, bytes]:
        number = next(scrapes)
        return 200, template.replace("@often", f"{number}00").replace("@seldom", f"{number}e-6").encode()

    return answer


def contract_text(catalog: Catalog) -> str:
    """Each label set of each metric of the contract that the catalog allows, once."""
    metrics = ContractMetrics(tuple(METRICS_BY_NAME), metric_policies(catalog))
    for name, metric in METRICS_BY_NAME.items():
        for values in set(label_sets(name, catalog)):
            labels = dict(zip(metric.labels, values, strict=True))
            if metric.type is MetricType.GAUGE:
                metrics.set(name, 0.5, **labels)
            elif metric.type is MetricType.COUNTER:
                metrics.count(name, 1, **labels)
            else:
                metrics.observe(name, 1, **labels)
    return generate_latest(metrics.registry).decode()


def exposed(catalog: Catalog) -> dict[str, Answer]:
    """All that each target can expose, by address."""
    gateway = catalog.gateway
    if gateway.binding == CANONICAL_BINDING:
        text = contract_text(catalog)
    else:
        text = as_text(known_binding(gateway.binding), list(gateway_sets(catalog)), 1)
        for label, values in _SAYS[gateway.binding].items():
            for number, value in enumerate(values):
                text = re.sub(rf'\b{label}="({number}|x)"', f'{label}="{value}"', text)
    unread = {server.metrics: "" for _, _, server in catalog.servers() if server.metrics is not None}
    logs = [target for source in catalog.sources.values() if source.binding == "audit" for target in source.targets]
    texts = (
        unread
        | local_texts(catalog)
        | dict.fromkeys(gateway.targets, text)
        | dict.fromkeys(logs, contract_text(catalog))
    )
    return {address: growing(text) for address, text in texts.items()}


def asked(loaded: LoadedCatalog, rules: str) -> tuple[Silent, Silent]:
    """Every query of every panel; and every series that is recorded, or read by a query, a board's variable or a rule. `rules`: the
    rule file that is evaluated."""
    queries, series = Silent(), Silent()
    alarms = load_alarm_set(loaded, TIMING)
    for path, text in render_dashboards(loaded.catalog, alarms.canonical.unbound, alarms.boards).items():
        board = parse_board(text, path)
        for panel in board.panels:
            for target in panel.targets:
                queries.setdefault(fill_any(target.expr), set()).add(f"{board.title}: {panel.title}")
        for variable in board.variables:
            if found := _OF_LABEL.fullmatch(variable.query):
                series.setdefault(fill_any(found[1]), set()).add(f"{board.title}: ${variable.name}")
    for group in yaml.safe_load(rules)["groups"]:
        for rule in group["rules"]:
            name = rule.get("record") or rule["alert"]
            if "record" in rule:
                labels = ", ".join(f'{label}="{value}"' for label, value in rule.get("labels", {}).items())
                series.setdefault(f"{name}{{{labels}}}", set()).add(f"{name} itself")
            for part in selectors(rule["expr"]):
                series.setdefault(part, set()).add(name)
    for expr, places in queries.items():
        for part in selectors(expr):
            series.setdefault(part, set()).update(places)
    return queries, series


def without_quiet(catalog: str, asked: Silent) -> Silent:
    """What of `asked` has to answer."""
    quiet = [pattern for of, pattern, _ in QUIET if re.fullmatch(of, catalog)]
    return {expr: places for expr, places in asked.items() if not any(re.fullmatch(one, expr) for one in quiet)}


def selectors(expr: str) -> Iterator[str]:
    """Every selector of recorded series in `expr`, without the time that it looks back."""
    for node, _ in walk(parse(expr)):
        if isinstance(node, promql_parser.VectorSelector) and (node.name or "").startswith("tier:"):
            yield re.sub(r" offset \w+$", "", node.prettify())


_HOLDS: dict[str, Callable[[str, str], bool]] = {
    "Equal": lambda value, wanted: value == wanted,
    "NotEqual": lambda value, wanted: value != wanted,
    "Re": lambda value, wanted: re.fullmatch(wanted, value) is not None,
    "NotRe": lambda value, wanted: re.fullmatch(wanted, value) is None,
}


def selected(selector: str, there: list[dict[str, str]]) -> bool:
    """Whether one of these series is selected."""
    node = promql_parser.parse(selector)
    wanted = [(one.name, _HOLDS[str(one.op).rpartition(".")[2]], one.value) for one in node.matchers.matchers]
    return any(
        node.name in (None, labels["__name__"])
        and all(holds(labels.get(name, ""), value) for name, holds, value in wanted)
        for labels in there
    )


def _by_twenty(queries: list[str]) -> list[list[str]]:
    return [queries[at : at + 20] for at in range(0, len(queries), 20)]


async def still_silent(url: str, queries: Silent, series: Silent) -> dict[str, list[str]]:
    """What has had no data within WITHIN_S."""
    deadline = time.monotonic() + WITHIN_S
    async with PrometheusClient(url, 60) as client:
        while (queries or series) and time.monotonic() < deadline:
            await asyncio.sleep(3)
            there = await client.series('{__name__=~"tier:.*"}')
            series = {one: places for one, places in series.items() if not selected(one, there)}
            for some in _by_twenty(list(queries)):
                # All in one request; what is not a number is no data.
                counts = (f'label_replace(count(({expr}) > -Inf), "n", "{n}", "", "")' for n, expr in enumerate(some))
                for sample in await client.query(" or ".join(counts)):
                    del queries[some[int(sample.labels["n"])]]
    return {expr: sorted(places) for expr, places in (series | queries).items()}


@pytest.mark.stack
def test_every_pane_and_every_rule_of_the_shipped_catalogs_can_have_data(stack: StackBinaries, tmp_path: Path) -> None:
    async def scenario() -> dict[str, dict[str, list[str]]]:
        waiting = []
        for path in CATALOGS:
            loaded, folder = load_catalog(path), tmp_path / path.stem
            folder.mkdir()
            url = servers.enter_context(prometheus_of(loaded, stack, folder, exposed(loaded.catalog), TIMING))
            queries, series = asked(loaded, (folder / RULES_PATH).read_text(encoding="utf-8"))
            waiting.append(still_silent(url, without_quiet(path.stem, queries), without_quiet(path.stem, series)))
        return dict(zip([path.stem for path in CATALOGS], await asyncio.gather(*waiting), strict=True))

    with ExitStack() as servers:
        found = asyncio.run(scenario())
    assert {name: silent for name, silent in found.items() if silent} == {}
