"""Sources: where a scene's raw material comes from."""

from lyra_data.engine.registry import Registry
from lyra_data.sources.base import Source

SOURCES: Registry[Source] = Registry(
    "source",
    {
        "clip": "lyra_data.sources.clip:ClipSource",
        "colmap": "lyra_data.sources.colmap:ColmapSource",
        "files": "lyra_data.sources.files:FilesSource",
        "motorcycle": "lyra_data.sources.motorcycle:MotorcycleSource",
        "nerfstudio": "lyra_data.sources.nerfstudio:NerfstudioSource",
        "picture": "lyra_data.sources.picture:PictureSource",
        "prompt": "lyra_data.sources.prompt:PromptSource",
        "video": "lyra_data.sources.video:VideoSource",
        "vipe": "lyra_data.sources.vipe:VipeSource",
    },
)
