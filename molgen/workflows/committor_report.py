"""The report of `committor evaluate`: everything that is known of a committor, on one page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from molgen import __version__
from molgen.committor.artifact import LoadedCommittor
from molgen.provenance import provenance
from molgen.reports.committor_data import CommittorReport
from molgen.reports.committor_report import write_committor_report
from molgen.rundir import MANIFEST, read_manifest
from molgen.workflows.committor_picture import picture
from molgen.workflows.shot_data import RUN, ShotData

REPORT = "report.html"
RATE = Path("rate") / "rate.json"


def report_committor(
    loaded: LoadedCommittor, data: ShotData, record: Mapping[str, Any], committor: Path, shots: Path, output: Path
) -> Path:
    """Write the report into ``output``; rates that ``committor rate`` wrote beside the shots or the committor are in
    it, rounds where ``committor run`` made it."""
    manifest = read_manifest(committor) if (committor / MANIFEST).is_file() else None
    rounds = manifest.result.get("rounds", ()) if manifest is not None and manifest.kind == RUN else ()
    places = dict.fromkeys(path / RATE for path in (shots, committor))
    # Rates of other dynamics or states say nothing here; the run that gave them says whose they are.
    rates = [json.loads(path.read_bytes()) for path in places if path.is_file()]
    own = {"system": record["system"], "a": record["a"], "b": record["b"]}
    report = CommittorReport(
        record=record,
        picture=picture(loaded.model, data, record.get("mechanism") or {}),
        rounds=rounds,
        rates=[rate for rate in rates if {key: rate.get(key) for key in own} == own],
        provenance={
            "committor": {"path": str(committor), "sha256": loaded.sha256, "dynamics": loaded.dynamics_sha256},
            "shots": str(shots),
            **provenance(),
        },
        version=__version__,
    )
    path = output / REPORT
    write_committor_report(report, path)
    return path
