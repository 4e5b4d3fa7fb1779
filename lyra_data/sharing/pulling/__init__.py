"""Pull datasets, parts of them, models and released scenes from the Hub."""
