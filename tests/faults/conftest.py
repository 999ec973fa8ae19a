from tests.unit.keras_worker.fixtures import plain_fits, pool

__all__ = ["plain_fits", "pool"]
