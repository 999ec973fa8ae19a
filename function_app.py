"""The Azure Functions app: registers the blueprints; nothing else."""

import azure.functions as func

from core.base.api import fallback
from core.catalog.api import routes as catalog
from core.graphs.api import routes as graphs
from core.graphs.preset_api import routes as presets
from core.graphs.snapshot_api import routes as snapshots
from core.health.api import routes as health
from core.importing.api import routes as importing
from core.importing.flow import blueprint as import_flow
from core.importing.triggers import blueprint as import_triggers
from core.openapi.api import documents
from core.serving.api import routes as serving
from core.serving.batches.api import routes as batches
from core.serving.batches.flow import blueprint as batch_flow
from core.serving.batches.triggers import blueprint as batch_triggers
from core.serving.export_api import routes as exporting
from core.serving.export_flow import blueprint as export_flow
from core.training.api import routes as training
from core.training.flow import blueprint as training_flow
from core.upkeep.triggers import blueprint as upkeep_triggers
from core.uploads.triggers import blueprint as upload_triggers

CAPABILITIES = [health, catalog, graphs, presets, snapshots, importing, training, serving, exporting, batches]
ROUTES = [*CAPABILITIES, documents(CAPABILITIES), fallback]

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
for routes in ROUTES:
    app.register_functions(routes.blueprint)
app.register_functions(training_flow)
app.register_functions(upload_triggers)
app.register_functions(import_flow)
app.register_functions(import_triggers)
app.register_functions(upkeep_triggers)
app.register_functions(export_flow)
app.register_functions(batch_flow)
app.register_functions(batch_triggers)
