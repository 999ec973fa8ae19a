"""Every setting of the app: one frozen object, read from the environment once.

On Azure these are app settings; locally `local.settings.json` puts them into the environment. The
field's upper-case name is the setting's name, except where an alias says otherwise.
"""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

MIB = 1024 * 1024


class Settings(BaseSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    aspnet_jwt_key: SecretStr = Field(
        default=SecretStr(""),
        description="Key of the HS256 bearer tokens; while it is unset they are refused.",
    )
    jwt_jwks_url: str = Field(
        default="", description="Address of the public keys (JWKS) of RS256 and ES256 tokens, as of Entra ID."
    )
    jwt_issuer: str = Field(default="", description="`iss` of those tokens; needed with JWT_JWKS_URL.")
    jwt_audience: str = Field(default="", description="`aud` of those tokens; needed with JWT_JWKS_URL.")
    jwt_admin_role: str = Field(
        default="", description="Role claim that makes a user an administrator, beside `is_staff`."
    )

    applicationinsights_connection_string: SecretStr = Field(
        default=SecretStr(""), description="Where metrics and traces are sent; while it is unset none are made."
    )

    storage_connection: SecretStr = Field(
        default=SecretStr(""),
        alias="AzureWebJobsStorage",
        description="Connection string of the storage account; unset where managed identity is used.",
    )
    storage_account: str = Field(
        default="",
        alias="AzureWebJobsStorage__accountName",
        description="Name of the storage account when it is reached by managed identity.",
    )
    blob_endpoint: str = Field(
        default="",
        alias="AzureWebJobsStorage__blobServiceUri",
        description="Blob endpoint for managed identity, where it is not the public cloud's.",
    )
    table_endpoint: str = Field(
        default="",
        alias="AzureWebJobsStorage__tableServiceUri",
        description="Table endpoint for managed identity, where it is not the public cloud's.",
    )
    azure_account_name: str = Field(
        default="", description="Account name with AZURE_ACCOUNT_KEY, instead of a connection string."
    )
    azure_account_key: SecretStr = Field(
        default=SecretStr(""), description="Key of AZURE_ACCOUNT_NAME; empty means managed identity."
    )
    azure_ssl: bool = Field(default=True, description="https for AZURE_ACCOUNT_NAME; false is http.")
    azure_container: str = Field(
        default="maid-artifacts", description="Container of models, logs, checkpoints and results."
    )
    graphs_container: str = Field(default="graphs", description="Container of stored graphs.")
    uploads_container: str = Field(
        default="uploads", description="Container that browsers upload to; the blob trigger watches it."
    )
    imports_container: str = Field(
        default="imports", description="Container of uploaded models; a blob trigger of its own watches it."
    )
    blob_trigger_source: Literal["LogsAndContainerScan", "EventGrid"] = Field(
        default="LogsAndContainerScan",
        description="Who announces uploads: LogsAndContainerScan polls for them; Flex Consumption needs EventGrid.",
    )
    task_hub_name: str = Field(
        default="NetworkCanvas", description="Task hub of the durable functions; host.json refers to it."
    )

    max_upload_size: int = Field(default=10 * MIB, ge=1, description="Largest body of a request, bytes.")
    max_presigned_upload_size: int = Field(
        default=2048 * MIB, ge=1, description="Largest file uploaded through a SAS URL, bytes."
    )
    upload_url_minutes: int = Field(default=60, ge=1, le=1440, description="How long an upload URL is valid, minutes.")
    download_url_minutes: int = Field(
        default=60, ge=1, le=1440, description="How long a download URL is valid, minutes."
    )

    import_job_allowed_extensions: str = Field(
        default=".keras,.h5,.zip", description="Names of uploaded models end in one of these."
    )
    import_job_max_pending_per_user: int = Field(
        default=3, ge=1, description="Most imports of a user that are queued or processing."
    )
    import_job_pending_storage_limit_mb: int = Field(
        default=0, ge=0, description="Most MiB that such imports of a user may have uploaded; 0 is no limit."
    )
    max_zip_extracted_files: int = Field(default=1000, ge=1, description="Most files in an uploaded zip.")
    max_zip_extracted_bytes: int = Field(
        default=200 * MIB, ge=1, description="Largest size of an uploaded zip when unpacked, bytes."
    )
    max_weights_bytes: int = Field(
        default=200 * MIB, ge=1, description="Most bytes of weights that are kept of an imported model."
    )
    import_seconds: int = Field(default=60, ge=1, description="Longest time reading one model file may take.")
    import_memory_mb: int = Field(default=512, ge=64, description="Memory that reading one model file may take, MiB.")
    import_children: int = Field(default=2, ge=1, description="Model files that are read at the same time.")

    max_graph_nodes: int = Field(
        default=2000, ge=1, description="Most nodes of a graph, those of nested models included."
    )
    max_graph_bytes: int = Field(default=5 * MIB, ge=1, description="Largest JSON of a graph, bytes.")
    compile_seconds: int = Field(default=10, ge=1, description="Longest time compiling one graph may take.")
    compile_memory_mb: int = Field(default=1024, ge=64, description="Memory that compiling one graph may take, MiB.")
    compile_children: int = Field(default=2, ge=1, description="Graphs that are compiled at the same time.")
    compile_cache_entries: int = Field(
        default=512, ge=1, description="Answers about compiled graphs that are remembered."
    )
    max_epochs: int = Field(default=10_000, ge=1, description="Most epochs a training may ask for.")
    max_batch_size: int = Field(default=65_536, ge=1, description="Largest batch a training may ask for.")
    max_columns: int = Field(default=10_000, ge=1, description="Most feature columns of a training.")
    max_rows: int = Field(default=20_000_000, ge=1, description="Most rows of a dataset.")
    max_parameters: int = Field(default=100_000_000, ge=1, description="Most parameters of a network to train.")
    max_training_seconds: int = Field(
        default=86_400, ge=1, description="Longest time a training may take from its start on."
    )
    training_job_max_pending_per_user: int = Field(
        default=100,
        ge=1,
        description="Most trainings of a user that are queued or running; as many batches may be.",
    )
    training_max_running_per_user: int = Field(
        default=10, ge=1, description="Most trainings of a user that run at once; more stay queued."
    )

    storage_patience_seconds: float = Field(
        default=1.4,
        gt=0,
        description="How long a caller waits for storage that does not answer, seconds; then it is 503.",
    )
    training_slice_seconds: int = Field(
        default=300, ge=1, description="Length of one training activity; keep it below functionTimeout."
    )
    training_threads: int = Field(default=0, ge=0, description="Threads of one training; 0 is one for each core.")
    export_seconds: int = Field(default=120, ge=1, description="Longest time one export may take, seconds.")
    child_start: Literal["auto", "fork", "spawn"] = Field(
        default="auto", description="How Keras children start; auto forks where the system can."
    )
    child_memory_mb: int = Field(default=4096, ge=256, description="Memory (RSS) at which a Keras child is ended, MiB.")
    child_idle_seconds: int = Field(
        default=120, ge=0, description="How long a child is kept for the next slice of its job, seconds."
    )
    artifact_retention_days: int = Field(
        default=30,
        ge=0,
        description="Days for which files of ended trainings, imports and batches are kept; 0 is always.",
    )
    orchestration_history_days: int = Field(
        default=30, ge=0, description="Days for which the history of an orchestration is kept; 0 is for ever."
    )
    predict_memory_mb: int = Field(
        default=512, ge=1, description="Memory of the models that are kept ready for predictions, MiB."
    )
    predict_max_rows: int = Field(
        default=10_000, ge=1, description="Most rows of one prediction; more go through batch-predictions."
    )
    work_dir: Path = Field(
        default_factory=lambda: Path(tempfile.gettempdir()) / "network-canvas",
        description="Folder for files of running jobs; they can always be made again.",
    )

    @field_validator("aspnet_jwt_key")
    @classmethod
    def _resolved(cls, key: SecretStr) -> SecretStr:
        # What Azure leaves where a reference to a vault cannot be read. Anybody could sign with that text.
        return SecretStr("") if key.get_secret_value().startswith("@Microsoft.KeyVault(") else key

    @property
    def import_folder(self) -> Path:
        """Where model files are read."""
        return self.work_dir / "imports"

    @property
    def batch_folder(self) -> Path:
        """Where parts of large files are predicted."""
        return self.work_dir / "batches"

    @property
    def import_extensions(self) -> tuple[str, ...]:
        """IMPORT_JOB_ALLOWED_EXTENSIONS, one by one and in lower case."""
        return tuple(part.strip().lower() for part in self.import_job_allowed_extensions.split(",") if part.strip())

    @property
    def threads(self) -> int:
        return self.training_threads or os.cpu_count() or 1


@cache
def settings() -> Settings:
    return Settings()


def blob_trigger_source() -> str:
    """BLOB_TRIGGER_SOURCE, which the blob triggers need while the app is indexed.

    Read by itself: a mistake in another setting must not take all functions away, `health` among them.
    """
    return os.environ.get("BLOB_TRIGGER_SOURCE") or Settings.model_fields["blob_trigger_source"].default
