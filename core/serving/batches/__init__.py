"""The door for large files: a CSV uploaded to Blob Storage comes back with the predictions of a training beside it."""
