"""Train the decoder phase by phase, resumably."""
