"""docs/operate.md, the workbook and the alert rules ask for metrics, spans, functions and log records that exist."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.monitor.opentelemetry.exporter._constants import _AUTOCOLLECTED_INSTRUMENT_NAMES as TAKEN  # pyright: ignore

from bench.cost import Prices, Usage, table
from core.base.settings import Settings
from core.base.telemetry import FIELDS, INSTRUMENTS
from tests.unit.infra.test_deployment import deployed
from tests.unit.test_app import FUNCTIONS

ROOT = Path(__file__).resolve().parents[3]
OPERATE = (ROOT / "docs" / "operate.md").read_text("utf-8")
TABLES = ("customMetrics", "dependencies", "requests", "traces")


class Told:
    """What the code says to telemetry, read from its source."""

    def __init__(self) -> None:
        self.attributes: dict[str, set[str]] = {}
        self.spans: set[str] = set()
        self.span_attributes: set[str] = set()
        self.records: set[str] = set()
        self.errors: set[str] = set()
        self.texts: set[str] = set()
        for file in (ROOT / "core").rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                self._see(node)

    def _see(self, node: ast.AST) -> None:
        match node:
            case ast.ClassDef(name=name):
                self.errors.add(name)
            case ast.Constant(value=str(words)):
                self.texts.add(words)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="telemetry"), attr="record"),
                args=[ast.Constant(value=str(metric)), *_],
                keywords=given,
            ):
                self.attributes.setdefault(metric, set()).update(each.arg for each in given if each.arg)
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="telemetry"), attr="span"), args=[name, *_], keywords=given
            ):
                if isinstance(name, ast.JoinedStr) and isinstance(name.values[0], ast.Constant):
                    self.spans.add(str(name.values[0].value))
                self.span_attributes.update(each.arg for each in given if each.arg)
            case (
                ast.Call(func=ast.Attribute(value=ast.Name(id="log")), args=[*_, ast.Constant(value=str(record))])
                | ast.Call(func=ast.Attribute(value=ast.Name(id="log")), args=[ast.Constant(value=str(record)), *_])
            ):
                self.records.add(record)
            case _:
                pass

    def says(self, phrase: str) -> bool:
        """Whether a log record has the phrase; where its format ends in %s, the name of a class may follow."""
        start, _, last = phrase.rpartition(": ")
        named = last in self.errors and any(f"{start}: %s" in record for record in self.records)
        return named or any(phrase in record for record in self.records)


TOLD = Told()


def queries() -> Iterator[tuple[str, str]]:
    for number, found in enumerate(re.findall(r"```kusto\n(.*?)```", OPERATE, re.DOTALL), 1):
        yield f"operate.md {number}", found
    for item in json.loads((ROOT / "infra" / "workbook.json").read_text("utf-8"))["items"]:
        if item["type"] == 3:
            yield f"workbook: {item['name']}", item["content"]["query"]
    for rule in deployed("flex").all("Microsoft.Insights/scheduledQueryRules"):
        yield f"alert {rule.name}", rule.properties["criteria"]["allOf"][0]["query"]


def parts(query: str) -> list[tuple[str, str]]:
    """Each table that is read, and what is asked of it."""
    pieces = re.split(rf"(?<![\w.\"])({'|'.join(TABLES)})(?=\s*\|)", query)
    return list(zip(pieces[1::2], pieces[2::2], strict=True))


def compared(part: str, column: str) -> set[str]:
    """The texts that a column is compared with."""
    one = re.findall(rf"(?<![\w.]){column} (?:==|startswith|has|contains) \"([^\"]+)\"", part)
    many = re.findall(rf"(?<![\w.]){column} in \(([^)]*)\)", part)
    return {*one, *(name for group in many for name in re.findall(r'"([^"]+)"', group))}


def mistakes(query: str) -> list[str]:
    """What the query asks for and nothing says."""
    found = parts(query)
    wrong = [] if found else ["no table"]
    for kind, part in found:
        names, phrases = compared(part, "name"), compared(part, "message")
        dimensions = set(re.findall(r"customDimensions\.(\w+)", part))
        known: set[str] = set()
        match kind:
            case "customMetrics":
                wrong += sorted(names - (INSTRUMENTS.keys() & TOLD.attributes.keys()))
                known = {each for name in names for each in TOLD.attributes.get(name, ())}
            case "dependencies":
                wrong += sorted(name for name in names if not any(name.startswith(span) for span in TOLD.spans))
                known = TOLD.span_attributes
            case "requests":
                wrong += sorted(names - FUNCTIONS.keys())
            case _:
                wrong += sorted(phrase for phrase in phrases if not TOLD.says(phrase))
                fields = set(re.findall(r"\"(\w+)=\"|@\"(?:\\b)?(\w+)=", part))
                wrong += sorted({a or b for a, b in fields} - set(FIELDS))
                counted = "|".join(re.findall(r"regex @\"\\d \(([^)]*)\)", part))
                wrong += sorted(set(filter(None, counted.split("|"))) - TOLD.texts)
                names = phrases | {"".join(each) for each in fields}
        wrong += sorted(dimensions - known)
        if not names and "resultCode" not in part:
            wrong.append(f"anything in {kind}")
    return wrong


@pytest.mark.parametrize(("where", "query"), list(queries()), ids=lambda value: value if len(value) < 60 else "")
def test_a_query_asks_only_for_what_the_code_tells(where: str, query: str) -> None:
    assert mistakes(query) == []
    assert query.count("(") == query.count(")") and query.count('"') % 2 == 0


@pytest.mark.parametrize(
    ("query", "missing"),
    [
        ('customMetrics | where name == "jobs.left"', "jobs.left"),
        ('customMetrics | where name == "jobs.entered" | summarize by customDimensions.owner', "owner"),
        ('dependencies | where name startswith "teaching: "', "teaching: "),
        ('dependencies | where name startswith "training: " | summarize by customDimensions.epoch', "epoch"),
        ('requests | where name in ("train_slice", "train_epoch")', "train_epoch"),
        ('traces | where message has "the training was sad"', "the training was sad"),
        ('traces | where message has "the training failed: NoSuchError"', "the training failed: NoSuchError"),
        ('traces | where message has "the training failed" | extend extract(@"epoch=(\\w+)", 1, message)', "epoch"),
        ('traces | where message has "upkeep, " and message matches regex @"\\d (started|fainted)"', "fainted"),
        ("customMetrics | summarize count()", "anything in customMetrics"),
        ("print 1", "no table"),
    ],
)  # fmt: skip
def test_a_query_for_what_nothing_tells_is_found(query: str, missing: str) -> None:
    assert mistakes(query) == [missing]


def test_azures_exporter_leaves_our_metrics_and_their_attributes_alone() -> None:
    assert not INSTRUMENTS.keys() & set(TAKEN)


def test_each_question_has_its_query_and_what_to_do_next() -> None:
    runbook = OPERATE.partition("## Questions")[2].partition("\n## ")[0]
    questions = runbook.split("\n### ")[1:]
    assert len(questions) >= 10
    for question in questions:
        title = question.splitlines()[0]
        assert title.endswith("?") and "**Next.**" in question, title
        assert "```kusto" in question, title


def test_each_alert_stands_in_the_runbook() -> None:
    rules = deployed("flex").all("Microsoft.Insights/scheduledQueryRules")
    rules += deployed("flex").all("Microsoft.Insights/metricAlerts")
    named = {rule.name.rpartition("-")[0] for rule in rules}
    alerts = OPERATE.partition("## Alerts")[2].partition("\n## ")[0]
    listed = set(re.findall(r"^\| `([\w-]+)` \|", alerts, re.MULTILINE))
    assert listed == named


def test_the_table_of_costs_is_what_the_script_prints() -> None:
    assert table(Prices(), Usage()) in OPERATE
    rules = deployed("flex").all("Microsoft.Insights/scheduledQueryRules")
    assert Usage().alert_rules == len(rules)
    assert Usage().slice_seconds == Settings().training_slice_seconds


def test_the_workbook_is_deployed_as_it_is_here_and_each_of_its_queries_follows_the_time_range() -> None:
    made = deployed("flex").one("Microsoft.Insights/workbooks")
    workbook: dict[str, Any] = json.loads(made.properties["serializedData"])
    assert workbook == json.loads((ROOT / "infra" / "workbook.json").read_text("utf-8"))
    [chosen] = [item["content"]["parameters"] for item in workbook["items"] if item["type"] == 9]
    asked = [item["content"] for item in workbook["items"] if item["type"] == 3]
    assert {each["timeContextFromParameter"] for each in asked} == {chosen[0]["name"]}
    assert not any("ago(" in each["query"] for each in asked)
