"""How large what is trained may be, in words for whoever asked for more."""

from __future__ import annotations


def network_problem(parameters: int, most: int) -> str:
    """What is wrong with a network of so many parameters, "" if nothing is."""
    if parameters <= most:
        return ""
    return (
        f"The network has {parameters:,} parameters; at most {most:,} can be trained here (MAX_PARAMETERS)."
        " Make its layers smaller."
    )


def rows_problem(rows: int, most: int) -> str:
    """What is wrong with a file in which so many rows were met, "" if nothing is."""
    if rows <= most:
        return ""
    return f"The file has more than {most:,} rows, and no more can be trained on here (MAX_ROWS). Upload fewer."
