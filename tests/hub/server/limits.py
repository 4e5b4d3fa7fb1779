"""The Hub's limits, as it states them: calls in five minutes, commits an hour, files a commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tests.hub.server.clock import Clock
from tests.hub.server.records import Records
from tests.hub.server.refusals import RefusalError

WINDOW = 300.0
HOUR = 3600.0


@dataclass
class Limits:
    """What is refused beyond; None: nothing is.

    Attributes:
        calls: of the API in five minutes; 429 beyond.
        commits_an_hour: in a repository; 429 beyond.
        files_a_commit: 413 beyond.
        files_a_folder: 400 beyond.
    """

    calls: int | None = 1000
    commits_an_hour: int | None = 128
    files_a_commit: int | None = 100
    files_a_folder: int | None = 10_000

    def require_calls(self, clock: Clock, records: Records) -> dict[str, str]:
        """Count a call; return the headers that say how many are left."""
        if self.calls is None:
            return {}
        now = clock.now()
        recent = [time for time in records.calls[-self.calls :] if time > now - WINDOW]
        wait = clock.real_seconds(recent[0] + WINDOW - now) if recent else int(WINDOW)
        left = self.calls - len(recent)
        headers = {
            "RateLimit": f'"api";r={max(left - 1, 0)};t={wait}',
            "RateLimit-Policy": f'"fixed window";"api";q={self.calls};w={int(WINDOW)}',
        }
        if left <= 0:
            words = "We had to rate limit you: too many API calls"
            raise RefusalError(429, words, headers=headers | {"Retry-After": str(wait)})
        records.calls.append(now)
        return headers

    def require_commits(self, repository: str, clock: Clock, records: Records) -> None:
        if self.commits_an_hour is None:
            return
        now = clock.now()
        recent = [
            commit.time
            for commit in records.commits
            if commit.repository == repository and commit.time > now - HOUR
        ]
        if len(recent) >= self.commits_an_hour:
            wait = clock.real_seconds(recent[-self.commits_an_hour] + HOUR - now)
            words = (
                "You have exceeded the rate limit for repository commits "
                f"({self.commits_an_hour} per hour)"
            )
            raise RefusalError(429, words, headers={"Retry-After": str(wait)})

    def require_files(self, num_files: int, files: Mapping[str, object]) -> None:
        if self.files_a_commit is not None and num_files > self.files_a_commit:
            words = f"Too many files in a commit: {num_files}, at most {self.files_a_commit}"
            raise RefusalError(413, words)
        if self.files_a_folder is None or len(files) <= self.files_a_folder:
            return
        folders: dict[str, int] = {}
        for name in files:
            folder = name.rpartition("/")[0]
            folders[folder] = folders.get(folder, 0) + 1
            if folders[folder] > self.files_a_folder:
                raise RefusalError(400, f"Too many files in folder {folder!r}")
