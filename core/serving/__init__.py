"""What a finished training offers: its artifacts to download, and predictions."""
