"""Static pages to look through a packaged dataset: contact strips, filters, views in step."""
