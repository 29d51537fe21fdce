"""The use cases and the wiring. Only this room and the doors see across all others."""

from waremill.app.importing import Imported
from waremill.app.status import RunStatus
from waremill.app.trial_results import TrialResult
from waremill.app.workspace import Workspace, open_workspace
from waremill.runs.estimate import Estimate
from waremill.runs.work import AtWork

__all__ = [
    "AtWork",
    "Estimate",
    "Imported",
    "RunStatus",
    "TrialResult",
    "Workspace",
    "open_workspace",
]
