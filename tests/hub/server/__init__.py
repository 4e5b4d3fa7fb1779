"""A Hub of our own for tests, over HTTP: the real huggingface_hub, hf_xet and datasets talk to it.

    state = HubState()
    state.add("lab/scenes", {"README.md": b"...", "a.parquet": data}, kind="dataset")
    with running_hub(state) as endpoint:
        with client_pointed_at(endpoint, tmp_path, token=TOKEN):    # in this process
            HfApi().create_commit(...)
        environment = client_environment(endpoint, tmp_path, token=TOKEN, xet=False)
        subprocess.run([...], env=environment)                      # HF_ENDPOINT set at import
    assert state.files("datasets/lab/scenes", "v1") == {...}

`hub_state` and `hub` in tests/hub/conftest.py are fixtures: a fresh state, and its endpoint.

**Accounts**: `TOKEN` writes to the namespaces `tester` and `lab`, `READ_TOKEN` is tester's too and
reads only, `OTHER_TOKEN` is `stranger`'s. More: `state.accounts[token] = Account(name, role, ...)`.

**HubState**: `repositories` by key (`lab/net`, `datasets/lab/scenes`, `spaces/lab/page`), `create`,
`add`, `commit` (as somebody else), `files(key, revision)`; `limits`, `clock`, `faults`, `records`,
`stated` (lies of listings), `page_size`, `large_from`, `multipart_from`, `part_bytes`, `endpoint`.
A `Repository` has `private`, `gated`, `granted`, `card`, `head` (main's commit id) and `history`
(`branches`, `tags`, `pulls`, `discussions`, `commits`).

**Faults** (faults.py): `state.faults.add(kind, on, times=, after=, chance=, ...)`, `on` a regular
expression for "METHOD /path"; kinds: status (with `status`, `retry_after`), slow, cut_request,
cut_answer, lose_answer (done, but the client never hears), stale_parent, alter_request,
alter_answer. For large downloads also `cut_after`, `stall`, `alter`, `endless`. Random faults are
drawn from `HubState(seed=...)`, the request, and how often it was made: the order of threads does
not matter.

**Limits** (limits.py): `calls`, `commits_an_hour`, `files_a_commit`, `files_a_folder`; None lifts
one. `state.clock.advance(3600)` moves the server's time; `state.clock.run_at(3600)` lets an hour
pass in a second, and Retry-After says so.

**Records** (records.py): `requests` (method, path, status, time, seconds, account), `calls`,
`commits` and `heads(key, ref)` (what a ref's head held after each commit), `received`, `finished`
and `resent` (bytes and times by content hash), `served` and `range_requests` (large answers),
`bytes_served` by (key, file) and `total_served(key)`, `tokens_elsewhere`,
`most_commits_an_hour()`, `most_calls_in_five_minutes()`, `clear()`.

Xet mode needs nothing: a client with hf_xet and without HF_HUB_DISABLE_XET (`xet=True`) uploads
xorbs and shards, which the server unpacks, checks against SHA-256, and serves by ranges.

The server is one thread's: a test may read everything at any time, and change settings between
requests. A draft pull request must be opened (`change_discussion_status`) before it is merged.
"""

from tests.hub.server.faults import Fault, Faults
from tests.hub.server.history import Commit, Discussion, History
from tests.hub.server.limits import Limits
from tests.hub.server.records import CommitRecord, Records, RequestRecord, Served
from tests.hub.server.running import client_environment, client_pointed_at, running_hub
from tests.hub.server.state import (
    OTHER_TOKEN,
    READ_TOKEN,
    TOKEN,
    Account,
    HubState,
    Repository,
)

__all__ = [
    "OTHER_TOKEN",
    "READ_TOKEN",
    "TOKEN",
    "Account",
    "Commit",
    "CommitRecord",
    "Discussion",
    "Fault",
    "Faults",
    "History",
    "HubState",
    "Limits",
    "Records",
    "Repository",
    "RequestRecord",
    "Served",
    "client_environment",
    "client_pointed_at",
    "running_hub",
]
