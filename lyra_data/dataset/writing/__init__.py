"""Write a dataset: scenes are packed into shards, with a card and a manifest."""
