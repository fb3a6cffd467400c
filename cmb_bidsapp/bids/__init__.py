"""BIDS in and BIDS out."""
