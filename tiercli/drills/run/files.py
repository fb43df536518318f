"""The files that say what a run concluded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import yaml

from tiercli.drills.judge.verdict import judge
from tiercli.drills.record.events import Timeline
from tiercli.drills.record.history import Record, encode_result
from tiercli.drills.record.result import Result
from tiercli.drills.record.run_folder import JUNIT, REPORT, RESULT, SPEC, TIMELINE, write_files
from tiercli.drills.record.timeline_file import load_run_spec, load_timeline
from tiercli.drills.report.junit import render_junit
from tiercli.drills.report.page import render_report
from tiercli.drills.report.summary import SUMMARY, render_summary
from tiercli.drills.run.request import DrillRun
from tiercli.drills.spec.model import DrillSpec


def result_files(spec: DrillSpec, result: Result, timeline: Timeline) -> dict[str, str]:
    """The files that say what a run concluded, by name."""
    return {
        SPEC: yaml.safe_dump(spec.model_dump(mode="json", by_alias=True, exclude_none=True), sort_keys=False),
        RESULT: encode_result(result),
        JUNIT: render_junit(result),
        REPORT: render_report(result, timeline),
    }


def draw_again(folder: Path) -> Result:
    """Judge the run of `folder` again from its timeline, and write its files again. Raises InvalidInput where it cannot be read,
    BackendError when the disk refuses."""
    timeline = load_timeline(folder / TIMELINE)
    spec = load_run_spec(folder, timeline)
    result = judge(spec, timeline)
    write_files(folder, result_files(spec, result, timeline))
    return result


def write_summary(runs: Sequence[DrillRun]) -> Path | None:
    """Write it, where there was more than one; where it is. Raises BackendError where the disk refuses."""
    if len(runs) < 2:
        return None
    folder = runs[0].folder.parent
    write_files(folder, {SUMMARY: render_summary([Record(run.folder, run.result) for run in runs])})
    return folder / SUMMARY
