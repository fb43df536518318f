"""The files that say what a run concluded."""

from __future__ import annotations

import yaml

from tiercli.drills.junit import render_junit
from tiercli.drills.report import render_report
from tiercli.drills.result import Result
from tiercli.drills.result_json import encode_result
from tiercli.drills.run_folder import JUNIT, REPORT, RESULT, SPEC
from tiercli.drills.spec import DrillSpec
from tiercli.drills.timeline import Timeline


def result_files(spec: DrillSpec, result: Result, timeline: Timeline) -> dict[str, str]:
    """The files that say what a run concluded, by name."""
    return {
        SPEC: yaml.safe_dump(spec.model_dump(mode="json", by_alias=True, exclude_none=True), sort_keys=False),
        RESULT: encode_result(result),
        JUNIT: render_junit(result),
        REPORT: render_report(result, timeline),
    }
