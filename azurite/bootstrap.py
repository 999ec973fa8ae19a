"""Makes a fresh storage account usable by the app: its containers, and CORS for browsers that upload.

In the cloud infrastructure code does this. Locally it runs at every start, because Azurite, when killed,
forgets the last five seconds, and with them perhaps its containers. Run in the virtual environment as
`python -m azurite.bootstrap --cors ORIGIN[,ORIGIN]` with the settings of the app.
"""

from __future__ import annotations

import argparse
import contextlib

from azure.core.exceptions import ResourceExistsError
from azure.storage.blob import BlobServiceClient, CorsRule

from core.base.settings import Settings


def container_names(known: Settings) -> list[str]:
    """The containers that the app expects, by its own settings."""
    return [known.azure_container, known.graphs_container, known.uploads_container, known.imports_container]


def prepare(service: BlobServiceClient, containers: list[str], origins: list[str]) -> None:
    """Create the containers that are missing and let pages of `origins` PUT and GET blobs."""
    for name in containers:
        with contextlib.suppress(ResourceExistsError):
            service.create_container(name)
    rule = CorsRule(
        allowed_origins=origins,
        allowed_methods=["PUT", "GET", "HEAD"],
        allowed_headers=["content-type", "content-md5", "if-none-match", "x-ms-*"],
        exposed_headers=["etag", "content-disposition", "x-ms-*"],
        max_age_in_seconds=600,
    )
    service.set_service_properties(cors=[rule] if origins else [])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cors", default="", help="origins of web pages, separated by commas")
    origins = [origin.strip() for origin in parser.parse_args().cors.split(",") if origin.strip()]
    known = Settings()
    with BlobServiceClient.from_connection_string(known.storage_connection.get_secret_value()) as service:
        prepare(service, container_names(known), origins)


if __name__ == "__main__":
    main()
