"""The process: settings, wiring and HTTP manners. It knows no model."""
