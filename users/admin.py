"""The staff's view on accounts."""
