"""Exports of Gaussian scenes to file formats that viewers read."""
