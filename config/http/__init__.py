"""The HTTP kit: manners that every view shares. It knows no model."""
