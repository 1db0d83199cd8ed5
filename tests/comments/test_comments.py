"""What only comments have."""
