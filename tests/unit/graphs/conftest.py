from tests.unit.compile.fixtures import compiler

__all__ = ["compiler"]
