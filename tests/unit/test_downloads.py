"""What people download: saved under a name of ours, shown by no browser."""

from __future__ import annotations

import re

import pytest

from core.training.results import ARTIFACTS, EXPORTS, Artifact

# Browsers save these even where an attachment's header got lost on the way.
SAVED = {"application/octet-stream", "application/zip", "text/csv", "text/x-python"}


@pytest.mark.parametrize("artifact", [*ARTIFACTS.values(), *EXPORTS.values()], ids=lambda artifact: artifact.file)
def test_a_download_is_of_a_type_that_browsers_save_and_its_name_needs_no_quoting(artifact: Artifact) -> None:
    assert artifact.content_type in SAVED
    assert re.fullmatch(r"job_fe5d_[a-z_]+\.[a-z]+", artifact.download_name("fe5d"))
