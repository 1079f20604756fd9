"""A simulation fitted to frames without labels, and what it forecasts of a classifier."""
