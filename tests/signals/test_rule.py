"""Rules as data: what a rule file holds is read back as it was built, with its place in the file."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tiercli.catalog.loading import LoadedCatalog
from tiercli.errors import InvalidInput, Location
from tiercli.output.tree import to_yaml
from tiercli.rules.alarm_files import load_alarms
from tiercli.rules.alerting import build_rule_groups
from tiercli.rules.deployment import timing_of
from tiercli.signals.rule import Rule, read_rules, rule_file_content

TEXT = """groups:
  - name: ours
    rules:
      - record: job:calls:rate
        expr: |
          sum by (job) (
            rate(calls_total[5m]))
      - alert: TooMany
        expr: job:calls:rate > 5
        for: 1h30m
        keep_firing_for: 90s
        labels: {severity: page}
        annotations: {summary: "{{ $value }} calls"}
  - name: theirs
    rules: [{alert: Always, expr: 1, for: soon}]
"""


def test_reads_every_rule_with_its_group_durations_and_place() -> None:
    assert read_rules(TEXT, "rules.yml") == [
        Rule(
            "record",
            "job:calls:rate",
            "sum by (job) ( rate(calls_total[5m]))",
            group="ours",
            location=Location("rules.yml", 5, 15),
            lines=(4, 7),
        ),
        Rule(
            "alert",
            "TooMany",
            "job:calls:rate > 5",
            {"severity": "page"},
            {"summary": "{{ $value }} calls"},
            for_s=5400,
            keep_firing_for_s=90,
            group="ours",
            location=Location("rules.yml", 9, 15),
            lines=(8, 14),
        ),
        # A duration that is none is promtool's to report.
        Rule("alert", "Always", "1", group="theirs", location=Location("rules.yml", 15, 35), lines=(15, 16)),
    ]


def test_generated_rules_are_read_back_as_they_were_built(hybrid: LoadedCatalog) -> None:
    timing = timing_of(hybrid.catalog)
    groups = build_rule_groups(hybrid, timing, load_alarms(hybrid, timing))
    built = [replace(rule, group=group.name) for group in groups for rule in group.rules]
    read = read_rules(to_yaml(rule_file_content(groups)), "rules.yml")
    assert [replace(rule, location=Location(""), lines=(0, 0)) for rule in read] == built
    assert {rule.kind for rule in built} == {"alert", "record"}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        pytest.param("rules: []\n", "f:1:1: no list of groups", id="no groups"),
        pytest.param("groups: [{rules: [{alert: x}]}]\n", "f:1:19: a rule without an expression", id="no expression"),
        pytest.param("groups: [{rules: [text]}]\n", "f:1:19: a rule without an expression", id="no mapping"),
    ],
)
def test_what_is_not_a_rule_file_is_refused_at_its_place(text: str, place: str) -> None:
    with pytest.raises(InvalidInput, match="f is not a rule file") as raised:
        read_rules(text, "f")
    assert str(raised.value.problems[0]).startswith(place)
