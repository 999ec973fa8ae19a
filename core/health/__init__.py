"""Whether the app can do its work, and what it lacks."""
