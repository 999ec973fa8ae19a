"""The blob trigger: a dataset that has landed starts its training by itself."""

from __future__ import annotations

import logging

import azure.durable_functions as df
import azure.functions as func

from core.base.clients import storage
from core.jobs.start import DurableOrchestrations
from core.uploads.arrival import on_upload
from core.uploads.landing import NothingUploaded

log = logging.getLogger(__name__)
blueprint = func.Blueprint()


@blueprint.function_name("on_dataset_uploaded")
@blueprint.blob_trigger(
    arg_name="blob",
    path="%UPLOADS_CONTAINER%/{owner}/{job}/source.csv",
    connection="AzureWebJobsStorage",
)
@blueprint.durable_client_input(client_name="client")
async def on_dataset_uploaded(blob: func.InputStream, client: df.DurableOrchestrationClient) -> None:
    # The name is `container/owner/job/source.csv`, as core.uploads.arrival.dataset_name made it.
    _, owner, job_id, _ = str(blob.name).rsplit("/", 3)
    try:
        await on_upload(storage(), DurableOrchestrations(client), owner, job_id)
    except NothingUploaded:
        # Deleted since the event: there is nothing left to start.
        log.info("the upload of job %s is gone", job_id)
