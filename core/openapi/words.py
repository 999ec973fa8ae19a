"""What the document says once for all operations."""

from __future__ import annotations

_CONVENTIONS = """\
The backend of a canvas on which people draw neural networks: it stores, checks and compiles them, trains them on
CSV files and lets them predict.

**Tokens.** `Authorization: Bearer <JWT>` on everything but the catalogues, the presets' reading and the health.

**Yours.** Graphs, snapshots, trainings and imports belong to the user who made them; to others they do not exist (404).

**Errors** are JSON. Most are `{"detail", "code", "trace_id"}`: a sentence for a person, a stable name for programs,
and the id under which the log has it. Wrong input may also be a map from field, or node and parameter, to sentences;
`code` and trace id are then in the headers `X-Error-Code` and `X-Trace-Id`, which every error has. A trace id that is
sent as W3C `traceparent` is kept. Any operation may answer 405, with `Allow`, to a method that is not listed.

**JSON** is UTF-8 without NaN and infinities; names that come twice are refused. Times are ISO 8601 in UTC. Paths end
with a slash; without it they work as well. Lists are plain arrays.
"""

INFO = {"title": "Network canvas", "version": "1.0.0", "description": _CONVENTIONS}

# In the order in which the page shows them.
TAGS = {
    "Graphs": "Networks as they are drawn: stored, checked, compiled, exported.",
    "Training": "From a graph and a CSV to a trained model.",
    "Results": "What a finished training offers.",
    "Imports": "Model files and model JSON as graphs; read as data, never run.",
    "Snapshots": "Copies of a drawing to come back to.",
    "Presets": "Ready drawings to begin with. Everybody reads them, administrators change them.",
    "Catalogues": "What can be drawn and trained with: Keras's own classes, with their parameters and choices.",
    "Service": "About the service itself.",
}

# Of answers.
HEADERS = {
    "Allow": "The methods that the path has.",
    "Content-Disposition": "The name under which to save the file.",
    "ETag": "The version of what is answered.",
    "Location": "Where to read what was made or started.",
    "Retry-After": "Seconds after which asking again makes sense.",
    "WWW-Authenticate": 'Always `Bearer realm="api"`.',
    "X-Error-Code": "The error's `code`, also where the body is a map of problems.",
    "X-Trace-Id": "The id under which the log has this request: 32 hexadecimal digits.",
}

REQUEST_HEADERS = {
    "If-Match": "The `ETag` that was read: the change is refused if it is no longer the current version.",
    "If-None-Match": "The `ETag` that was read: the answer is 304 without a body if it is still current.",
}
