"""Released weights: fetched by name, converted to diffusers folders, verified."""
