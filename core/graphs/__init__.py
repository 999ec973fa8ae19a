"""What the canvas draws: graphs, their checks, storage, compilation, scripts, presets and snapshots."""
