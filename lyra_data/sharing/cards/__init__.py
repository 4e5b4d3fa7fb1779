"""Cards: README.md of datasets, models and scenes on the Hub, written from what they hold."""
