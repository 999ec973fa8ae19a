"""The blob trigger: a CSV to predict that has landed starts its batch by itself."""

from __future__ import annotations

import logging

import azure.durable_functions as df
import azure.functions as func
from azurefunctions.extensions.bindings.blob import BlobClient

from core.base.clients import storage
from core.base.errors import NothingUploaded
from core.base.settings import blob_trigger_source
from core.jobs.start import DurableOrchestrations
from core.serving.batches.arrival import ORCHESTRATION, on_rows

log = logging.getLogger(__name__)
blueprint = func.Blueprint()


@blueprint.function_name("on_rows_uploaded")
@blueprint.blob_trigger(
    arg_name="blob",
    path="%UPLOADS_CONTAINER%/{owner}/{batch}/rows.csv",
    connection="AzureWebJobsStorage",
    source=func.BlobSource(blob_trigger_source()),
)
@blueprint.durable_client_input(client_name="client")
async def on_rows_uploaded(blob: BlobClient, client: df.DurableOrchestrationClient) -> None:
    # A client, not the content: that would be sent to this process whole, and may be 2 GiB.
    owner, batch_id, _ = blob.blob_name.split("/")
    try:
        await on_rows(storage(), DurableOrchestrations(client, ORCHESTRATION), owner, batch_id)
    except NothingUploaded:
        # Deleted since the event: there is nothing left to start.
        log.info("the upload of batch %s is gone", batch_id)
