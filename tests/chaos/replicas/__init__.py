"""Devices that keep a copy of what a user has while everything breaks, and what holds them to the truth afterwards."""
