"""Text-to-3D experiment on shapes with known ground truth."""
