"""Every operation of the document, with what it allows and what it does not, against a running backend.

No 5xx; no status, header, type or shape that the document does not have; no wrong input that is taken.
"""

from __future__ import annotations

import contextlib
import random
import uuid
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import GenerationConfig
from schemathesis.specs.openapi.checks import (
    allow_header_conformance,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests import documented
from tests.access import ACCESS
from tests.conftest import make_backend
from tests.harness import (
    Backend,
    Storage,
    bearer,
    classifier,
    presign,
    two_classes,
    upload,
    wait_for_end,
    wait_until,
)

OPERATIONS = [f"{method} {path}" for method, path in ACCESS]
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
    allow_header_conformance,
]
# What people type and forms send is read leniently there (section 6 of the contract): "5", "yes", null for unset.
LENIENT = ("presign-upload", "train", "import", "snapshots")
USER = "schema"


@dataclass
class World:
    """A backend with things in it that operations can be asked about, and what was answered so far."""

    backend: Backend
    schema: Any
    job: str = ""
    model: bytes = b""
    imported: str = ""
    session: requests.Session = field(default_factory=requests.Session)
    answers: Counter[int] = field(default_factory=Counter[int])
    known: dict[str, str] = field(default_factory=dict[str, str])

    def __post_init__(self) -> None:
        self.client = self.backend.client(USER, admin=True)
        signed = presign(self.client, epochs=1)
        upload(signed, two_classes())
        self.client.post(f"/api/network/training-jobs/{signed['job_id']}/start/")
        self.job = wait_for_end(self.client, signed["job_id"])["id"]
        link = self.client.get(f"/api/network/training-jobs/{self.job}/artifact/").json()["url"]
        self.model = httpx.get(link, trust_env=False).content
        files = {"file": ("model.keras", self.model)}
        self.imported = self.client.post("/api/network/import-jobs/", files=files).json()["id"]
        path = f"/api/network/import-jobs/{self.imported}/"
        wait_until(lambda: self.client.get(path).json()["status"] == "succeeded", "the import")

    def id_for(self, path: str, parameter: str, choice: random.Random) -> str:
        """The id of something that is there: a job that has ended or waits, and what earlier cases have left."""
        place = path.split("/")[3]
        of_batches = "batch-predictions" in path
        if parameter == "job_id" and (of_batches or choice.random() < 0.5):
            return self.imported if place == "import-jobs" else self.job
        place = f"training-jobs/{self.job}/batch-predictions" if of_batches else place
        known = self.known.get(place)
        if known is None or self.client.get(f"/api/network/{place}/{known}/").status_code == 404:
            known = self.known[place] = self._made(place)
        return known

    def _made(self, place: str) -> str:
        if place == "training-jobs":
            return presign(self.client)["job_id"]
        if place.endswith("batch-predictions"):
            return self._post(place, {})["batch_id"]
        graph = classifier()
        if place == "snapshots":
            graph = {"graph": self._post("graphs", classifier())["id"]}
        elif place == "presets":
            graph = {"slug": uuid.uuid4().hex, "name": "Made to be asked about", "graph": classifier()}
        elif place == "import-jobs":
            return self._post("import-jobs/presign-upload", {"filename": "m.keras"})["job_id"]
        return self._post(place, graph)["id"]

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self.client.post(f"/api/network/{path}/", json=body).json()

    def judge(self, case: schemathesis.Case) -> None:
        """Send the case, made more probable to get far, and hold the answer against the document."""
        choice = random.Random(zlib.crc32(repr((case.path, case.path_parameters, case.query, case.body)).encode()))
        checks = CHECKS
        names = [name for name in case.path_parameters or {} if name.endswith("_id")]
        example, body = self._example(case), case.body
        if names and choice.random() < 0.8:
            case.path_parameters = {name: self.id_for(case.path, name, choice) for name in names}
        elif example and isinstance(body, dict) and body and choice.random() < 0.5:
            name = choice.choice(sorted(body))
            case.body = {**example, name: body[name]}
        elif case.operation.body and not any(part in case.path for part in LENIENT):
            checks = [*CHECKS, negative_data_rejection]
        # Making a catalogue anew takes Keras a second; one of the five is enough.
        admin = choice.random() < 0.9 and not ("regenerate" in case.path and "losses" not in case.path)
        sent = case.as_transport_kwargs(base_url=self.backend.url)
        sent["headers"]["Authorization"] = f"Bearer {bearer(USER, admin=admin)}"
        sent["files"] = [self._filed(part, case.path, choice) for part in sent.get("files") or []] or None
        answer = self.session.request(**sent, allow_redirects=False, timeout=60)
        self.answers[answer.status_code] += 1
        case.validate_response(answer, checks=checks)
        documented.check_answer(case.method, case.formatted_path, answer.status_code, answer.headers, answer.content)

    def _example(self, case: schemathesis.Case) -> dict[str, Any] | None:
        """The documented example of a JSON body, of which the case may change a part."""
        content = case.operation.definition.raw.get("requestBody", {}).get("content", {})
        return content.get("application/json", {}).get("example") if case.media_type == "application/json" else None

    def _filed(self, part: tuple[str, Any], path: str, choice: random.Random) -> tuple[str, Any]:
        """A file of a form under a name that is taken, and every other time with a content that is."""
        name, (filename, content, *rest) = part
        if name != "file" or filename is None:
            return part
        if "train" in path:
            return name, ("table.csv", choice.choice([content, two_classes()]), *rest)
        ending = choice.choice(["keras", "h5", "zip"])
        return name, (f"model.{ending}", choice.choice([content, self.model, self.model[:5000]]), *rest)


@pytest.fixture(scope="module")
def world(new_storage: Callable[[], Storage], session_folder: Path) -> Iterator[World]:
    limits = {"TRAINING_JOB_MAX_PENDING_PER_USER": "100000", "IMPORT_JOB_MAX_PENDING_PER_USER": "100000"}
    made = make_backend(new_storage(), session_folder, limits)
    with contextlib.closing(made):
        made.start()
        schema = schemathesis.openapi.from_dict(documented.document())
        # Tokens have tests of their own; here every case has a good one, so that it gets past them.
        schema.config.generation.with_security_parameters = False
        world = World(made, schema)
        yield world
        print(f"\n{world.answers.total():,} cases: {dict(sorted(world.answers.items()))}")


def ask(world: World, label: str, examples: int, *, same: bool) -> None:
    """So many cases of what is allowed, and as many of what is not; the `same` ones in each run, or new ones."""
    method, path = label.split()
    operation = world.schema[documented.address_of(path)][method]
    # Where nothing but texts is read, nothing can be wrong.
    can_be_wrong = operation.body or "_id}" in path
    modes = [*GenerationMode] if can_be_wrong else [GenerationMode.POSITIVE]
    for mode in modes:

        @settings(
            max_examples=1 if "regenerate" in path else examples,
            derandomize=same,
            database=None,
            deadline=None,
            suppress_health_check=[HealthCheck(check) for check in HealthCheck],
        )
        @given(operation.as_strategy(mode))
        def judge(case: schemathesis.Case) -> None:
            world.judge(case)

        judge()


@pytest.mark.parametrize("label", OPERATIONS)
def test_an_operation_answers_as_the_document_says_whatever_is_sent(world: World, label: str) -> None:
    ask(world, label, 4, same=True)


@pytest.mark.soak
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("label", OPERATIONS)
def test_ten_thousand_cases_and_every_boundary(world: World, label: str) -> None:
    method, path = label.split()
    operation = world.schema[documented.address_of(path)][method]
    boundaries = world.schema.iter_coverage_cases(
        operation,
        generation_modes=[*GenerationMode],
        generation_config=GenerationConfig(with_security_parameters=False),
    )
    for case in boundaries:
        world.judge(case)
    ask(world, label, 110, same=False)
