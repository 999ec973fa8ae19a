"""Training jobs: their rows, their states, and the one way to start them."""
