"""What `dev.py` is made of: standard library only, because it runs before anything is installed."""


class Failure(Exception):
    """One sentence for the person at the keyboard: what is wrong, and what to do about it."""
