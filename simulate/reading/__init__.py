"""A stranger's file to pictures of photons."""
