"""The checks of a graph: everything that can be said without Keras, all problems at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.base.errors import BadRequest, TooLarge
from core.base.settings import settings
from core.graphs.attention import spread_attention
from core.graphs.checked import CheckedGraph, CheckedNode
from core.graphs.naming import layer_names
from core.graphs.nodes import Node, call_arguments, check_node, own_input_shape, read_nodes
from core.graphs.problems import Problems
from core.graphs.topology import Wire, call_order, read_wire

_DEEPEST_MODEL = 5


def check_graph(nodes: Any, edges: Any, *, complete: bool = True) -> CheckedGraph:
    """The graph in the one form that children get.

    `complete=False` is what saving asks for: a drawing may still miss an input shape. Raises
    BadRequest with all problems in the contract's shape, TooLarge for more nodes than allowed.
    """
    _check_size(nodes)
    problems = Problems()
    try:
        checked = _check(nodes, edges, complete, 0, problems)
    except RecursionError:
        raise BadRequest({"nodes": ["The graph is nested too deeply."]}) from None
    problems.raise_if_any()
    return checked


def _check_size(nodes: Any) -> None:
    most = settings().max_graph_nodes
    count = _count(nodes, 0)
    if count > most:
        raise TooLarge(f"The graph has {count:,} nodes; at most {most:,} are allowed (MAX_GRAPH_NODES). Draw fewer.")


def _count(nodes: Any, depth: int) -> int:
    """Nodes of the graph and of the models inside it."""
    if not isinstance(nodes, list) or depth > _DEEPEST_MODEL:
        return 0
    inner = [_inner_graph(node.get("notes")) for node in nodes if isinstance(node, dict)]
    return len(nodes) + sum(_count(graph.get("nodes"), depth + 1) for graph in inner if graph)


def _inner_graph(notes: Any) -> Mapping[str, Any] | None:
    graph = notes.get("graph") if isinstance(notes, dict) else None
    return graph if isinstance(graph, dict) else None


def _check(nodes: Any, edges: Any, complete: bool, depth: int, problems: Problems) -> CheckedGraph:
    read = read_nodes(nodes, problems)
    checked = {node.id: result for node in read if (result := check_node(node, problems)) is not None}
    for node in read:
        if node.is_model:
            _check_model(node, checked[node.id], complete, depth, problems)
    wires = _wires(read, nodes, edges, problems)
    wires = spread_attention(read, wires)
    calls = _calls(read, wires, problems)
    titles = {node.id: node.title for node in read}
    order = call_order([node.id for node in read], calls, wires, titles, problems)
    incoming: dict[str, list[Wire]] = {}
    for wire in wires:
        incoming.setdefault(wire.target, []).append(wire)
    for node in read:
        if node.id in checked:
            fed_by = incoming.get(node.id, [])
            _check_place(node, checked[node.id], fed_by, calls[node.id], complete, problems)
    kept = [checked[node.id] for node in read if node.id in checked]
    names = layer_names((node["type"], node["label"], node["params"].get("name")) for node in kept)
    for node, name in zip(kept, names, strict=True):
        node["name"] = name
        node["params"].pop("name", None)
    _check_ends(read, wires, calls, complete, problems)
    return {"nodes": kept, "edges": [wire.as_json() for wire in wires], "order": order}


def _wires(read: list[Node], nodes: Any, edges: Any, problems: Problems) -> list[Wire]:
    if edges is None:
        edges = []
    if not isinstance(edges, list):
        problems.edge("Send the edges as a list.")
        return []
    known = {node.id for node in read}
    sent = (
        {node["id"] for node in nodes if isinstance(node, dict) and isinstance(node.get("id"), str)}
        if isinstance(nodes, list)
        else set[str]()
    )
    wires: list[Wire] = []
    seen: set[str] = set()
    for position, edge in enumerate(edges, 1):
        if not isinstance(edge, dict):
            problems.edge(f"Edge {position} is not an object.")
            continue
        edge_id = edge.get("id")
        title = f"Edge '{edge_id}'" if isinstance(edge_id, str) and edge_id else f"Edge {position}"
        if edge_id is not None and not isinstance(edge_id, str):
            problems.edge(f"{title}: id must be text.")
        elif edge_id and edge_id in seen:
            problems.edge(f"Two edges have the id '{edge_id}'; ids must be unique in a graph.")
        elif edge_id:
            seen.add(edge_id)
        missing = [end for end in ("source", "target") if not _known(edge.get(end), sent)]
        for end in missing:
            problems.edge(f"{title}: its {end} {edge.get(end)!r} is not a node of this graph.")
        wire = None if missing else read_wire(edge, title, problems)
        if wire is not None and wire.source in known and wire.target in known:
            wires.append(wire)
    return wires


def _known(end: Any, sent: set[str]) -> bool:
    return isinstance(end, str) and end in sent


def _calls(read: list[Node], wires: list[Wire], problems: Problems) -> dict[str, int]:
    """How often each node is called; the calls of a node are numbered without a gap."""
    called: dict[str, set[int]] = {node.id: {0} for node in read}
    titles = {node.id: node.title for node in read}
    fed: dict[str, set[int]] = {}
    for wire in wires:
        called[wire.target].add(wire.call)
        fed.setdefault(wire.target, set()).add(wire.call)
    counts: dict[str, int] = {}
    for node_id, numbers in called.items():
        counts[node_id] = max(numbers) + 1
        if counts[node_id] > 1 and fed[node_id] != set(range(counts[node_id])):
            problems.node(node_id, "Some of the calls of this shared layer have no input; number them from 0 on.")
            counts[node_id] = max(counts[node_id], 1)
    for wire in wires:
        if wire.source_call >= counts[wire.source]:
            problems.edge(
                f"{titles[wire.source]} is called {counts[wire.source]} times; there is no call {wire.source_call}"
                " to take an output from (meta.source_call)."
            )
            counts[wire.source] = wire.source_call + 1
    return counts


def _check_place(
    node: Node, checked: CheckedNode, incoming: list[Wire], calls: int, complete: bool, problems: Problems
) -> None:
    """What a node is, against where it stands."""
    if node.is_input and incoming:
        problems.node(node.id, f"{node.title} is where data comes in; remove the edges that lead to it.")
    names = call_arguments(node)
    for wire in incoming:
        if isinstance(wire.argument, str) and names and wire.argument not in names:
            problems.edge(f"{node.title} takes no argument '{wire.argument}'; it takes {', '.join(names)}.")
    if not incoming and not node.is_input:
        shape = own_input_shape(node, problems)
        if shape is not None:
            checked["own_input"] = shape
        elif complete and not problems.concerns(node.id):
            problems.node(node.id, f"{node.title} gets no input: connect an Input node or another layer to it.")
    _check_notes(node, checked, calls, problems)


def _check_notes(node: Node, checked: CheckedNode, calls: int, problems: Problems) -> None:
    """`notes.calls`, `notes.input` and `notes.outputs`, which imports write and drawings may lack."""
    literals: Any = node.notes.get("calls")
    if isinstance(literals, list) and literals:
        checked["literals"] = [item if isinstance(item, dict) else {} for item in literals[:calls]]
    path: Any = node.notes.get("input")
    if isinstance(path, list) and node.is_input and all(isinstance(step, int | str) for step in path):
        checked["input_path"] = path
    outputs: Any = node.notes.get("outputs")
    if isinstance(outputs, list) and outputs:
        read = [_read_output(item, calls) for item in outputs]
        if any(item is None for item in read):
            problems.node(node.id, "notes.outputs must be a list of {path, call, output}.")
        checked["outputs"] = [item for item in read if item is not None]


def _read_output(item: Any, calls: int) -> dict[str, Any] | None:
    if not isinstance(item, dict):
        return None
    path, call, output = item.get("path", []), item.get("call", 0), item.get("output", 0)
    numbers = all(isinstance(value, int) and not isinstance(value, bool) for value in (call, output))
    steps = isinstance(path, list) and all(isinstance(step, int | str) for step in path)
    if not numbers or not steps or not 0 <= call < calls or not 0 <= output < 1000:
        return None
    return {"path": path, "call": call, "output": output}


def _check_model(node: Node, checked: CheckedNode, complete: bool, depth: int, problems: Problems) -> None:
    """The graph inside a nested model, checked by the same rules."""
    graph = _inner_graph(node.notes)
    if graph is None:
        problems.node(node.id, f"{node.title} holds no graph; a nested model keeps it in notes.graph.")
        return
    if depth >= _DEEPEST_MODEL:
        problems.node(node.id, f"Models are nested more than {_DEEPEST_MODEL} deep.")
        return
    inner = Problems()
    # A Sequential model may wait for its input, so that the outer graph gives the shape.
    inner_complete = complete and node.type != "Sequential"
    model = _check(graph.get("nodes"), graph.get("edges"), inner_complete, depth + 1, inner)
    if inner:
        problems.nested(node.id, inner)
    checked["model"] = dict(model)


def _check_ends(read: list[Node], wires: list[Wire], calls: dict[str, int], complete: bool, problems: Problems) -> None:
    """At least one node where data comes in, and one where a result goes out."""
    if not read:
        return
    if complete and all(node.is_input for node in read):
        problems.graph("The graph has only inputs: add a layer and connect an Input to it.")
        return
    fed = {wire.target for wire in wires}
    used = {(wire.source, wire.source_call) for wire in wires}
    for node in read:
        if complete and node.is_input and (node.id, 0) not in used and not node.notes.get("outputs"):
            problems.node(node.id, f"{node.title} leads nowhere: connect it to a layer or remove it.")
    leads_on = all((node.id, call) in used for node in read for call in range(calls[node.id]))
    if all(node.id in fed for node in read):
        problems.graph("The graph has no input: add an Input node and connect it to the first layer.")
    if leads_on and not any(node.notes.get("outputs") for node in read):
        problems.graph("The graph has no output: the last layer must not lead back into the graph.")
