"""Packaging: generated views encoded by workers, and put together as one dataset."""
