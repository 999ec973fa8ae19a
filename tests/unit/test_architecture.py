"""Who may know what, where import-linter cannot say it: it sees `azure` as one package, and no calls."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
APP = [ROOT / "function_app.py", *sorted((ROOT / "core").rglob("*.py"))]
FUNCTIONS_SDK = ("azure.functions", "azure.durable_functions")
# Modules whose business is a trigger: the HTTP boundary, the durable functions, blobs and timers.
TRIGGER_MODULES = {"function_app.py", "api.py", "flow.py", "export_flow.py", "triggers.py"}
CLIENT_CLASSES = {
    "BlobServiceClient",
    "ContainerClient",
    "BlobClient",
    "TableServiceClient",
    "TableClient",
    "QueueServiceClient",
    "DefaultAzureCredential",
    "ManagedIdentityCredential",
}


def names(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text("utf-8"), str(file))


@pytest.mark.parametrize("file", APP, ids=names)
def test_only_trigger_modules_import_the_functions_sdk(file: Path) -> None:
    found = [name for name in imported(parsed(file)) if name.startswith(FUNCTIONS_SDK)]
    assert not found or file.name in TRIGGER_MODULES


@pytest.mark.parametrize("file", APP, ids=names)
def test_only_clients_builds_sdk_clients(file: Path) -> None:
    built = [
        node.func
        for node in ast.walk(parsed(file))
        if isinstance(node, ast.Call) and _class_called(node.func) in CLIENT_CLASSES
    ]
    assert not built or names(file) == "core/base/clients.py"


@pytest.mark.parametrize("file", APP, ids=names)
def test_only_clients_imports_azure_identity(file: Path) -> None:
    found = [name for name in imported(parsed(file)) if name.startswith("azure.identity")]
    assert not found or names(file) == "core/base/clients.py"


def _class_called(called: ast.expr) -> str:
    """`X(…)` and `X.from_connection_string(…)` both build an X."""
    if isinstance(called, ast.Attribute) and called.attr.startswith("from_"):
        called = called.value
    if isinstance(called, ast.Attribute):
        return called.attr
    return called.id if isinstance(called, ast.Name) else ""
