"""--map: a provider's own export as audit records, in reports and as metrics."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import HYBRID, Done
from tiercli.audit.field_map import RowError, load_field_map, mapped_rows
from tiercli.errors import InvalidInput

Run = Callable[..., Done]

# A usage export as a provider's console gives it: a row stands for many calls.
USAGE_MAP = """
format: csv
fields:
  at: {from: start_time, unit: s}
  tenant: {from: project_name, cases: {"Acme (prod)": acme-corp}, otherwise: internal-tools}
  model_alias: {value: chat}
  model_used.provider: {value: openai}
  model_used.model_version: {from: model, match: '^(.+?)(?:-20\\d\\d-\\d\\d-\\d\\d)?$'}
  model_used.region: {value: ap-south-1}
  usage.input_tokens: {from: n_context_tokens_total}
  usage.output_tokens: {from: n_generated_tokens_total}
  cost_usd: {from: cost_cents, times: 0.01}
  calls: {from: n_requests}
"""
USAGE = """start_time,project_name,model,n_requests,n_context_tokens_total,n_generated_tokens_total,cost_cents
1763700000,Acme (prod),gpt-5-mini-2026-08-07,120,50000,9000,250
1763703600,Playground,gpt-5-mini,3,900,100,5.5
1763707200,Playground,gpt-5-mini,many,900,100,5
"""
# An invocation log: an object a line, with objects in it.
LOG_MAP = """
format: jsonl
fields:
  at: {from: timestamp}
  tenant: {from: identity.arn, match: 'role/(.+)$'}
  model_alias: {value: smart-reasoner}
  model_used.provider: {value: anthropic}
  model_used.model_version: {value: claude-sonnet-4-6}
  model_used.region: {from: region}
  usage.input_tokens: {from: input.inputTokenCount}
  latency_s: {from: output.latencyMs, times: 0.001}
  status: {from: errorCode, cases: {"": success}, otherwise: failure}
  code: {from: errorCode, cases: {ThrottlingException: RATE_LIMITED}}
"""
LOG = [
    {
        "timestamp": "2025-11-21T04:40:00Z",
        "region": "us-east-1",
        "identity": {"arn": "arn:aws:iam::1:role/globex-media"},
        "input": {"inputTokenCount": 70},
        "output": {"latencyMs": 700},
    },
    {"timestamp": "2025-11-21T04:40:01Z", "region": "us-east-1", "errorCode": "ThrottlingException"},
]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def test_a_usage_export_is_asked_like_a_log(run_tiercli: Run, tmp_path: Path) -> None:
    usage, mapping = write(tmp_path / "usage.csv", USAGE), write(tmp_path / "map.yaml", USAGE_MAP)
    done = run_tiercli("audit", "report", "--by", "tenant,model", "--format", "json", "--map", str(mapping), str(usage))
    assert done.returncode == 0
    said = json.loads(done.stdout)
    assert [(row["tenant"], row["model"], row["calls"], row["cost_usd"]) for row in said["rows"]] == [
        ("acme-corp", "gpt-5-mini", 120, 2.5),
        ("internal-tools", "gpt-5-mini", 3, pytest.approx(0.055)),
    ]
    assert f"{usage}:4: left out: calls: 'many' is not a number" in done.stderr


def test_a_usage_export_joins_the_series_of_the_gateway(run_tiercli: Run, tmp_path: Path) -> None:
    usage, mapping = write(tmp_path / "usage.csv", USAGE), write(tmp_path / "map.yaml", USAGE_MAP)
    done = run_tiercli("exporter", "audit", str(usage), "--map", str(mapping), "--catalog", str(HYBRID))
    assert done.returncode == 0
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(done.stdout)
        for sample in family.samples
    }
    offer = (("model", "gpt-5-mini"), ("provider", "openai"), ("region", "ap-south-1"))
    assert samples["ai_gateway_requests_total", *offer, ("status", "success")] == 123
    tokens = ("ai_gateway_tokens_total", ("direction", "input"), *offer)
    assert samples[tokens] == 50_900
    assert samples["ai_gateway_cost_usd_total", ("alias", "chat"), ("feature", ""), ("tenant", "acme-corp")] == 2.5
    assert samples["ai_gateway_audit_records_total",] == 123
    # A row for many calls says nothing of how long each took.
    assert not any(name.endswith("_duration_seconds_count") for name, *_ in samples)
    assert samples["tiercli_audit_malformed_lines_total",] == 1


@pytest.mark.parametrize("form", ["jsonl", "json"])
def test_an_invocation_log_is_read_with_its_objects(tmp_path: Path, form: str) -> None:
    text = "".join(json.dumps(one) + "\n" for one in LOG) if form == "jsonl" else json.dumps({"Records": {"all": LOG}})
    mapping = LOG_MAP if form == "jsonl" else LOG_MAP.replace("format: jsonl", "format: json\nrecords: Records.all")
    rows = list(mapped_rows(write(tmp_path / "log", text), load_field_map(write(tmp_path / "map.yaml", mapping))))
    (_, first), (line, second) = rows
    assert not isinstance(first, RowError)
    assert not isinstance(second, RowError)
    assert (first.tenant, first.status, first.seconds) == ("globex-media", "success", 1_763_700_000)
    assert first.latency_s == pytest.approx(0.7)
    assert (second.status, second.code, second.usage, line) == ("failure", "RATE_LIMITED", None, 2)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("start_time, unit: s", "start_time"), "at: '1763700000' is not ISO 8601"),
        (("unit: s}", "unit: weeks}"), "map.yaml:4:"),
        (("calls:", "callls:"), "unknown field callls"),
        (("  at: {from: start_time, unit: s}\n", ""), "`at`, the time of the row, is missing"),
        (("{value: chat}", "{}"), "either `from` or `value`"),
        (("match: '^(.+?)(?:", "match: '^(?:"), "`match` needs exactly one group"),
        (("from: n_requests", "from: requests"), "no column requests"),
        (("format: csv", "format: json"), "is not JSON"),
    ],
)
def test_a_map_that_does_not_fit_says_why(run_tiercli: Run, tmp_path: Path, change: tuple[str, str], said: str) -> None:
    usage, mapping = write(tmp_path / "usage.csv", USAGE), write(tmp_path / "map.yaml", USAGE_MAP.replace(*change))
    assert mapping.read_text(encoding="utf-8") != USAGE_MAP
    done = run_tiercli("audit", "report", "--by", "tenant", "--map", str(mapping), str(usage))
    assert said in done.stderr
    assert done.returncode == 2 or "ISO" in said


def test_every_source_of_a_field_is_checked_at_once(run_tiercli: Run, tmp_path: Path) -> None:
    usage = write(tmp_path / "usage.csv", USAGE)
    mapping = write(
        tmp_path / "map.yaml",
        """format: csv
fields:
  at: {from: start_time, unit: s}
  tenant: {from: [], else: {value: x}}
  caller: {from: user, when: {status: "("}}
  usage.input_tokens: {from: all, less: [usage.cached]}
  code: {from: status, means: a_status}
""",
    )
    done = run_tiercli("audit", "report", "--by", "tenant", "--map", str(mapping), str(usage))
    assert done.returncode == 2
    for line, said in (
        (4, "give either `from` or `value`"),
        (5, "`when` is not a regular expression"),
        (6, "`less` names usage.cached; a number is usage.input_tokens, "),
        (7, "fields.code.means is 'a_status'"),
    ):
        assert any(f"map.yaml:{line}:" in found and said in found for found in done.stderr.splitlines()), done.stderr


def test_a_csv_must_have_the_columns_of_every_source(run_tiercli: Run, tmp_path: Path) -> None:
    text = USAGE_MAP.replace("{value: chat}", "{from: [alias, model], when: {kind: x}, else: {from: group}}")
    usage, mapping = write(tmp_path / "usage.csv", USAGE), write(tmp_path / "map.yaml", text)
    done = run_tiercli("audit", "report", "--by", "tenant", "--map", str(mapping), str(usage))
    assert done.returncode == 2
    assert "no column alias, group, kind" in done.stderr


def test_a_duration_is_the_time_between_two_columns(tmp_path: Path) -> None:
    text = """format: jsonl
fields:
  at: {from: end}
  latency_s: {from: end, since: start}
"""
    rows = [
        {"start": "2025-11-21T04:40:00Z", "end": "2025-11-21T04:40:02.5Z"},
        {"start": 1_763_700_000, "end": 1_763_700_000.25},
        {"end": 1_763_700_000},
        {"start": "soon", "end": 1_763_700_000},
    ]
    log = write(tmp_path / "log", "".join(json.dumps(row) + "\n" for row in rows))
    made = [record for _, record in mapped_rows(log, load_field_map(write(tmp_path / "map.yaml", text)))]
    assert [record.latency_s for record in made if not isinstance(record, RowError)] == [2.5, 0.25, None]
    assert str(made[3]) == "latency_s: 'soon' is not ISO 8601"


def test_a_map_that_is_not_there_is_exit_2(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput):
        load_field_map(tmp_path / "map.yaml")


def test_a_csv_export_is_not_followed(run_tiercli: Run, tmp_path: Path) -> None:
    usage, mapping = write(tmp_path / "usage.csv", USAGE), write(tmp_path / "map.yaml", USAGE_MAP)
    done = run_tiercli("exporter", "audit", "--follow", str(usage), "--map", str(mapping), "--catalog", str(HYBRID))
    assert done.returncode == 2
    assert "a csv export cannot be followed" in done.stderr


def test_the_map_in_the_docs_is_one(tmp_path: Path) -> None:
    page = (HYBRID.parent.parent / "docs" / "audit-log.md").read_text(encoding="utf-8")
    (text,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "n_requests" in block]
    row = "start_time,project,model,n_context_tokens_total,cost_cents,n_requests\n1763700000,Acme (prod),m-2026-08-07,7,5,2\n"
    [(_, record)] = mapped_rows(write(tmp_path / "usage.csv", row), load_field_map(write(tmp_path / "map.yaml", text)))
    assert not isinstance(record, RowError)
    assert record.model_used is not None
    assert (record.tenant, record.model_used.model_version, record.calls) == ("acme-corp", "m", 2)
