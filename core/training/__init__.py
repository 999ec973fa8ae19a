"""Training runs: their parameters, the orchestrator with its activities, progress and results."""
