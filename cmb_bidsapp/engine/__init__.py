"""Runs sessions side by side, each in a process of its own, only what is stale."""
