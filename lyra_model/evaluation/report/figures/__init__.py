"""Figures: arrays to embedded pictures and to inline SVG, without a plotting library."""
