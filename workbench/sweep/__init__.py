"""Many trainings, each scored on many tests."""
