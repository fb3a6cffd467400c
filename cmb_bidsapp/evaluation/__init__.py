"""Holding the app's derivatives against a reference."""
