"""The report of an evaluation: one self-contained HTML page, and a summary for the terminal."""
