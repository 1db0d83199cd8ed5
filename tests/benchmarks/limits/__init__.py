"""What no server can beat."""
