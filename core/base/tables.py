"""Rows of Table Storage: conditional writes, whose outcome is always known.

The SDK sends `If-Match: *` unless told otherwise, and does not retry POST and PATCH. So every change
of a row here is a PUT (replace) with the ETag that was read, which the SDK retries; a 412 after such
a retry may be the echo of our own first try, which the `writer` property of the row tells.
"""

from __future__ import annotations

import asyncio
import json
import random
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import (
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.data.tables import TableErrorCode, TableTransactionError, UpdateMode
from azure.data.tables.aio import TableClient, TableServiceClient

from core.base.errors import Conflict, Unavailable

Row = dict[str, Any]

# With jitter up to 2^n · 10 ms this lets some fifty writers of one row all get through.
_TRIES = 60

_LOST_RACES = (
    TableErrorCode.UPDATE_CONDITION_NOT_SATISFIED,
    TableErrorCode.ENTITY_ALREADY_EXISTS,
    TableErrorCode.RESOURCE_NOT_FOUND,
)


async def table(service: TableServiceClient, name: str) -> TableClient:
    """The table's client; the table is made where it is missing, at the first use in a process."""
    client = service.get_table_client(name)
    made = _made.setdefault(service.url, set[str]())
    if name not in made:
        await service.create_table_if_not_exists(name)
        made.add(name)
    return client


_made: dict[str, set[str]] = {}


async def read(rows: TableClient, partition: str, key: str) -> Row | None:
    """The row with its ETag under `etag`, or None."""
    try:
        entity = await rows.get_entity(partition, key)
    except ResourceNotFoundError:
        return None
    return _row(entity)


async def insert(rows: TableClient, row: Row) -> Row:
    """Insert the row and return it with its ETag. Raises Conflict if the key is taken by another."""
    mine = {**row, "writer": secrets.token_hex(8)}
    for attempt in range(3):
        try:
            answer = await rows.create_entity(mine)
            return {**mine, "etag": answer["etag"]}
        except ResourceExistsError:
            there = await read(rows, row["PartitionKey"], row["RowKey"])
            if there is not None and there.get("writer") == mine["writer"]:
                return there
            raise Conflict("There is one of that name already; choose another.") from None
        except (ServiceRequestError, ServiceResponseError):
            if attempt == 2:
                raise
            await asyncio.sleep(0.1 * 2**attempt)
    raise AssertionError("unreachable")


async def replace(rows: TableClient, row: Row) -> Row | None:
    """Replace the row if its ETag is still current: the row with its new ETag, or None if it is not."""
    mine = {key: value for key, value in row.items() if key != "etag"}
    mine["writer"] = secrets.token_hex(8)
    try:
        answer = await rows.update_entity(
            mine, mode=UpdateMode.REPLACE, etag=row["etag"], match_condition=MatchConditions.IfNotModified
        )
        return {**mine, "etag": answer["etag"]}
    except ResourceModifiedError:
        there = await read(rows, row["PartitionKey"], row["RowKey"])
        return there if there is not None and there.get("writer") == mine["writer"] else None
    except ResourceNotFoundError:
        return None


async def change(rows: TableClient, partition: str, key: str, mutate: Callable[[Row | None], Row | None]) -> Row | None:
    """Read, let `mutate` say what the row should be, and write that if nobody was faster; else again.

    `mutate` gets the row, or None if there is none, and returns the new row, or None to leave all as
    it is; it may raise. Returns the row as it stands afterwards.
    """
    for attempt in range(_TRIES):
        row = await read(rows, partition, key)
        wanted = mutate(dict(row) if row is not None else None)
        if wanted is None:
            return row
        if row is None:
            try:
                return await insert(rows, wanted)
            except Conflict:
                continue
        written = await replace(rows, {**wanted, "etag": row["etag"]})
        if written is not None:
            return written
        await asyncio.sleep(random.uniform(0, min(0.01 * 2**attempt, 0.2)))
    raise Unavailable("Too many changes of the same thing at once; try again in a moment.")


async def write_together(rows: TableClient, changed: Sequence[Row]) -> bool:
    """Replace the rows that have an `etag` and insert the others, all of one partition: all of them or none.

    False if one of them was changed, deleted or inserted by another meanwhile.
    """
    writer = secrets.token_hex(8)
    operations: list[Any] = []
    for row in changed:
        mine = {key: value for key, value in row.items() if key != "etag"} | {"writer": writer}
        if "etag" in row:
            condition = {"etag": row["etag"], "match_condition": MatchConditions.IfNotModified}
            operations.append(("update", mine, {"mode": UpdateMode.REPLACE, **condition}))
        else:
            operations.append(("create", mine))
    for attempt in range(3):
        try:
            await rows.submit_transaction(operations)
        except TableTransactionError as error:
            # The SDK sets it on every instance, but declares it nowhere.
            if getattr(error, "error_code", None) not in _LOST_RACES:
                raise
            # After a lost answer this may be the echo of our own first try.
            there = await read(rows, changed[0]["PartitionKey"], changed[0]["RowKey"]) if attempt else None
            return there is not None and there.get("writer") == writer
        except (ServiceRequestError, ServiceResponseError):
            if attempt == 2:
                raise
            await asyncio.sleep(0.1 * 2**attempt)
        else:
            return True
    raise AssertionError("unreachable")


async def delete(rows: TableClient, partition: str, key: str, etag: str | None = None) -> bool:
    """Delete the row, if `etag` is given only that version of it: whether nothing of it is left."""
    condition: dict[str, Any] = {"etag": etag, "match_condition": MatchConditions.IfNotModified} if etag else {}
    try:
        await rows.delete_entity(partition, key, **condition)
    except ResourceModifiedError:
        return False
    except ResourceNotFoundError:
        return True
    return True


async def scan(rows: TableClient, partition: str, prefix: str = "") -> AsyncIterator[Row]:
    """The partition's rows whose keys begin with `prefix`, in key order; one query, paged by the SDK."""
    where = "PartitionKey eq @partition"
    parameters: dict[str, Any] = {"partition": partition}
    if prefix:
        where += " and RowKey ge @first and RowKey lt @after"
        parameters |= {"first": prefix, "after": behind(prefix)}
    async for row in find(rows, where, parameters):
        yield row


async def find(
    rows: TableClient, where: str, parameters: dict[str, Any], select: list[str] | None = None
) -> AsyncIterator[Row]:
    """The rows of all partitions that `where` finds, in the order of their keys."""
    async for entity in rows.query_entities(where, parameters=parameters, select=select):
        yield _row(entity)


async def pages(
    rows: TableClient,
    where: str,
    parameters: dict[str, Any],
    *,
    select: list[str] | None = None,
    size: int = 1000,
    token: str = "",
) -> AsyncIterator[tuple[list[Row], str]]:
    """What `find` finds, at most `size` rows at a time, each page with the token of the one after it.

    The last page's token is "". A page may be empty and have pages after it: the service ends one early
    where it has searched for long.
    """
    found: Any = rows.query_entities(where, parameters=parameters, select=select, results_per_page=size)
    by_page = found.by_page(continuation_token=json.loads(token) if token else None)
    async for page in by_page:
        listed = [_row(entity) async for entity in page]
        yield listed, json.dumps(by_page.continuation_token) if by_page.continuation_token else ""


def behind(prefix: str) -> str:
    """What sorts behind all keys that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _row(entity: Any) -> Row:
    return {**entity, "etag": entity.metadata["etag"]}
