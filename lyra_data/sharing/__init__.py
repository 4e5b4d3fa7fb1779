"""Share datasets, models and scenes: publish, pull, and describe them in cards."""
