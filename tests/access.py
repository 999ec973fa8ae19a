"""Who may call what: one row for each operation of the app. A new route fails its test until it stands here.

`tests/unit/test_app.py` holds the table against the routes, `tests/flow/test_ownership.py` against a running backend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.harness import classifier, two_class_training

KINDS = ("layers", "optimizers", "losses", "metrics", "activations")


@dataclass(frozen=True)
class Open:
    """Everybody, without a token."""


@dataclass(frozen=True)
class Admin:
    """Administrators; `sent` is what one of them would send."""

    sent: Any = None


@dataclass(frozen=True)
class Lists:
    """Every user; it answers with what is theirs."""


@dataclass(frozen=True)
class Makes:
    """Every user; it makes or computes something for them, of `sent`."""

    sent: Any = None


@dataclass(frozen=True)
class Own:
    """The owner of what the id in the path names, for others it is not there; `sent` is what the owner would send."""

    what: str
    sent: Any = None


Access = Open | Admin | Lists | Makes | Own
FORM = {"file": ("table.csv", b"a,b,label\n1,2,0\n")}
GRAPH, JOB, BATCH, IMPORT = Own("graph"), Own("job"), Own("batch"), Own("import")

ACCESS: dict[tuple[str, str], Access] = {
    ("GET", "health"): Open(),
    ("GET", "api/openapi.json"): Open(),
    ("GET", "api/docs"): Open(),
    **{
        (method, f"api/network/{kind}{path}"): access
        for kind in KINDS
        for method, path, access in (
            ("GET", "", Open()),
            ("GET", "/specs", Open()),
            ("GET", "/{name}", Open()),
            ("GET", "/refresh-manifest", Admin()),
            ("GET", "/regenerate-manifest", Admin()),
        )
    },
    ("GET", "api/network/graphs"): Lists(),
    ("POST", "api/network/graphs"): Makes(classifier()),
    ("POST", "api/network/graphs/compile"): Makes(classifier()),
    ("POST", "api/network/graphs/export-script"): Makes(classifier()),
    ("POST", "api/network/graphs/import-keras-json"): Makes({"class_name": "Sequential", "config": {"layers": []}}),
    ("POST", "api/network/graphs/import-model"): Makes(),
    ("GET", "api/network/graphs/{graph_id}"): GRAPH,
    ("PUT", "api/network/graphs/{graph_id}"): Own("graph", classifier()),
    ("PATCH", "api/network/graphs/{graph_id}"): Own("graph", {"name": "mine now"}),
    ("DELETE", "api/network/graphs/{graph_id}"): GRAPH,
    ("GET", "api/network/graphs/{graph_id}/compile"): GRAPH,
    ("GET", "api/network/graphs/{graph_id}/export-script"): GRAPH,
    ("POST", "api/network/graphs/{graph_id}/presign-upload"): Own("graph", two_class_training()),
    ("POST", "api/network/graphs/{graph_id}/train"): Own("graph", FORM),
    ("GET", "api/network/snapshots"): Lists(),
    ("POST", "api/network/snapshots"): Makes({"graph": "", "label": "mine now"}),
    ("GET", "api/network/snapshots/{snapshot_id}"): Own("snapshot"),
    ("PUT", "api/network/snapshots/{snapshot_id}"): Own("snapshot", {"payload": {"nodes": []}}),
    ("PATCH", "api/network/snapshots/{snapshot_id}"): Own("snapshot", {"label": "mine now"}),
    ("DELETE", "api/network/snapshots/{snapshot_id}"): Own("snapshot"),
    ("POST", "api/network/snapshots/{snapshot_id}/restore"): Own("snapshot"),
    ("GET", "api/network/presets"): Open(),
    ("POST", "api/network/presets"): Admin({"slug": "x", "name": "x", "graph": classifier()}),
    ("GET", "api/network/presets/{preset_id}"): Open(),
    ("PUT", "api/network/presets/{preset_id}"): Admin({"slug": "x", "name": "x", "graph": classifier()}),
    ("PATCH", "api/network/presets/{preset_id}"): Admin({"name": "x"}),
    ("DELETE", "api/network/presets/{preset_id}"): Admin(),
    ("GET", "api/network/training-jobs"): Lists(),
    ("GET", "api/network/training-jobs/{job_id}"): JOB,
    ("POST", "api/network/training-jobs/{job_id}/start"): JOB,
    ("POST", "api/network/training-jobs/{job_id}/cancel"): JOB,
    ("GET", "api/network/training-jobs/{job_id}/artifact"): JOB,
    ("POST", "api/network/training-jobs/{job_id}/predict"): Own("job", {"instances": [[0, 0]]}),
    ("POST", "api/network/training-jobs/{job_id}/export"): Own("job", {"format": "tflite"}),
    ("GET", "api/network/training-jobs/{job_id}/batch-predictions"): JOB,
    ("POST", "api/network/training-jobs/{job_id}/batch-predictions"): JOB,
    ("GET", "api/network/training-jobs/{job_id}/batch-predictions/{batch_id}"): BATCH,
    ("POST", "api/network/training-jobs/{job_id}/batch-predictions/{batch_id}/start"): BATCH,
    ("POST", "api/network/training-jobs/{job_id}/batch-predictions/{batch_id}/cancel"): BATCH,
    ("GET", "api/network/import-jobs"): Lists(),
    ("POST", "api/network/import-jobs"): Makes(),
    ("POST", "api/network/import-jobs/presign-upload"): Makes({"filename": "model.keras"}),
    ("GET", "api/network/import-jobs/{job_id}"): IMPORT,
    ("POST", "api/network/import-jobs/{job_id}/start"): IMPORT,
    ("POST", "api/network/import-jobs/{job_id}/cancel"): IMPORT,
    ("POST", "api/network/import-jobs/{job_id}/create-graph"): IMPORT,
}
