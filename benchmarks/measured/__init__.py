"""Fits to measured data: how often intervals hold, and what they cost."""
