"""Brain structures, regions and proxy labels."""
