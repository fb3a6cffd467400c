"""Simulated heads and scans with known microbleeds."""
