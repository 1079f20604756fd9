"""From what a pulse hits to photons that are counted."""
