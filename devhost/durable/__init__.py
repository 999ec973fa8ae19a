"""Durable Functions over SQLite: orchestrations, activities, entities, and their HTTP management API."""
