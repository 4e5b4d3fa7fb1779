"""Sources: where a scene's raw material comes from."""

from lyra_data.registry import Registry
from lyra_data.sources.base import Source

SOURCES: Registry[Source] = Registry(
    "source",
    {
        "files": "lyra_data.sources.files:FilesSource",
        "motorcycle": "lyra_data.sources.motorcycle:MotorcycleSource",
        "prompt": "lyra_data.sources.prompt:PromptSource",
    },
)
