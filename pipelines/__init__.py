"""Beam graphs: sources, transforms and lake joined into runs."""
