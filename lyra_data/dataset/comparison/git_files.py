"""Read a dataset as it was at a git revision of a DVC project: from DVC's cache, or its remote."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lyra_data.dataset.files.byte_ranges import MissingFileError
from lyra_data.dataset.files.fsspec_folder import FsspecFolder
from lyra_data.dataset.files.remote_files import RemoteFiles
from lyra_data.engine.errors import InputError


class GitRevisionFiles(RemoteFiles):
    """Files below a folder of a DVC project, at a revision of it; nothing is checked out.

    Args:
        folder: where the dataset lies, or lay, in the project.
        revision: a commit, branch or tag of its repository.
    """

    def __init__(self, folder: Path, revision: str) -> None:
        super().__init__(f"{folder}@{revision}", None)
        self._path, self._at = Path(folder).absolute(), revision

    def read_whole(self, file: str) -> bytes:
        """Return a small file.

        Raises:
            InputError: the folder is not there at the revision, or DVC has the file nowhere.
        """
        from dvc_data.index import DataIndexDirError

        try:
            return super().read_whole(file)
        except (MissingFileError, DataIndexDirError) as error:
            system, root = _open(self._path, self._at, self.uri)
            if isinstance(error, MissingFileError) and not system.exists(root):
                raise InputError(
                    "there is no such folder at this revision",
                    where=self.uri,
                    fix="correct the path or the revision",
                ) from error
            raise InputError(
                f"{file} is neither in DVC's cache nor in its remote, or this is no dataset",
                where=self.uri,
                fix="fetch what commits name: dvc fetch --all-commits",
            ) from error

    def _opened(self) -> FsspecFolder:
        return FsspecFolder(*_open(self._path, self._at, self.uri))


def _open(folder: Path, revision: str, uri: str) -> tuple[Any, str]:
    """Return DVC's file system of a revision, and the path of the folder in it.

    Raises:
        InputError: the folder lies in no project of DVC with git, or there is no such revision.
    """
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import SCMError

    project = next((one for one in folder.parents if (one / ".dvc").is_dir()), None)
    if project is None:
        raise InputError(
            "there is no such folder, and it would lie in no project of DVC",
            where=uri,
            fix="give a dataset's folder, or FOLDER@REVISION in a project of DVC and git",
        )
    try:
        system = DVCFileSystem(repo=str(project), rev=revision)
        system.ls("/")
    except (DvcException, SCMError, OSError) as error:
        raise InputError(
            f"the project cannot be read at revision {revision!r}: {error}",
            where=str(project),
            fix="give a commit, branch or tag: git log, git tag",
        ) from error
    return system, "/" + folder.relative_to(project).as_posix()
