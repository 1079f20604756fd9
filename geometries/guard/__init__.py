"""Opening files that may be damaged or hostile."""
