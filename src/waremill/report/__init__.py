"""Turn what is known of a run or a trial into one HTML file.

The room is pure: frozen `ReportData` in, text out. It must not read a database, a file of the
workspace or the clock, and what it makes needs no network and no script to be read.
"""

from __future__ import annotations

from waremill.report.data import (
    CheckRate,
    Comparison,
    Failure,
    FailureGroup,
    FieldAccuracy,
    FindingExample,
    FindingGroup,
    ForecastLine,
    Interval,
    Latency,
    LatencyBucket,
    ModelLine,
    PairedLine,
    ReportData,
    Sample,
    SampleField,
    TargetLine,
)
from waremill.report.html import content_policy, render_report

__all__ = [
    "CheckRate",
    "Comparison",
    "Failure",
    "FailureGroup",
    "FieldAccuracy",
    "FindingExample",
    "FindingGroup",
    "ForecastLine",
    "Interval",
    "Latency",
    "LatencyBucket",
    "ModelLine",
    "PairedLine",
    "ReportData",
    "Sample",
    "SampleField",
    "TargetLine",
    "content_policy",
    "render_report",
]
