"""The app's capabilities, one package each, and `base`, which they share."""
