"""Model bundles and their registry."""
