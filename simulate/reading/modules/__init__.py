"""Frames of modules: where they stand, and what a geometry file says about their pixels."""
