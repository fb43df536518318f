"""The summary of runs that were asked for together, beside their folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tiercli.drills.record.history import Record
from tiercli.drills.record.run_folder import write_files
from tiercli.drills.report.summary import SUMMARY, render_summary
from tiercli.drills.run.order import DrillRun


def write_summary(runs: Sequence[DrillRun]) -> Path | None:
    """Write it, where there was more than one; where it is. Raises BackendError where the disk refuses."""
    if len(runs) < 2:
        return None
    folder = runs[0].folder.parent
    write_files(folder, {SUMMARY: render_summary([Record(run.folder, run.result) for run in runs])})
    return folder / SUMMARY
