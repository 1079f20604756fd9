"""Reports as self-contained HTML pages, and their tables."""
