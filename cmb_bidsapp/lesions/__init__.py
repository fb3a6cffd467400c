"""Microbleeds: segmentation, candidates, decisions."""
