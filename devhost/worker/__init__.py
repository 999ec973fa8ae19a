"""The process in which the user's code runs: indexes the app and executes invocations sent by the host."""
