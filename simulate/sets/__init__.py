"""Sets of many files, and who makes them."""
