"""Text-to-SVG experiment: distilled vector drawings against traced and fitted samples, and against true drawings."""
