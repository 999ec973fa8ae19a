"""The blob trigger: a model file that has landed is imported by itself."""

from __future__ import annotations

import logging

import azure.durable_functions as df
import azure.functions as func
from azurefunctions.extensions.bindings.blob import BlobClient

from core.base.clients import storage
from core.base.errors import NothingUploaded
from core.base.settings import blob_trigger_source
from core.importing.arrival import on_model
from core.importing.start import ORCHESTRATION
from core.jobs.start import DurableOrchestrations

log = logging.getLogger(__name__)
blueprint = func.Blueprint()


@blueprint.function_name("on_model_uploaded")
@blueprint.blob_trigger(
    arg_name="blob",
    path="%IMPORTS_CONTAINER%/{owner}/{job}/{name}",
    connection="AzureWebJobsStorage",
    source=func.BlobSource(blob_trigger_source()),
)
@blueprint.durable_client_input(client_name="client")
async def on_model_uploaded(blob: BlobClient, client: df.DurableOrchestrationClient) -> None:
    # A client, not the content, which may be large; the name is as core.importing.arrival.upload_name made it.
    owner, job_id, name = blob.blob_name.split("/")
    log.info("the upload of import %s was announced", job_id)
    try:
        await on_model(storage(), DurableOrchestrations(client, ORCHESTRATION), owner, job_id, name)
    except NothingUploaded:
        # Deleted since the event: there is nothing left to start.
        log.info("the upload of import %s is gone", job_id)
