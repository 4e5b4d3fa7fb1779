"""GEN3C in diffusers: camera-controlled video from an image and a 3D cache."""
