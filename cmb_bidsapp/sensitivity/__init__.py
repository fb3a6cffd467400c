"""What share of microbleeds is found in a scan, measured with simulated ones drawn into it."""
