from .clips.store import read_clip as read_clip
from .clips.store import write_clip as write_clip
from .dataset.reading.reader import SceneDataset as SceneDataset
from .dataset.reading.sample import SceneSample as SceneSample
from .dataset.reading.sampler import SceneSampler as SceneSampler
from .dataset.reading.sampler import SceneSamples as SceneSamples
from .dataset.reading.scene_reader import SceneReader as SceneReader
from .engine.errors import CorruptDataError as CorruptDataError
from .engine.errors import ExecutorError as ExecutorError
from .engine.errors import InputError as InputError
from .engine.errors import LyraError as LyraError
from .engine.errors import MemoryShortageError as MemoryShortageError
from .engine.errors import ParamsError as ParamsError
from .engine.errors import ScenesFailedError as ScenesFailedError
from .engine.errors import StageOrderError as StageOrderError
from .engine.errors import StorageError as StorageError
from .models.codecs import create_codec as create_codec
from .models.codecs.base import LatentCodec as LatentCodec
from .scene.cameras import Cameras as Cameras
from .scene.clip import Clip as Clip
from .scene.view import View as View

__version__: str
