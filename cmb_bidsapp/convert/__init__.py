"""Datasets of others with microbleed masks, converted to BIDS."""
