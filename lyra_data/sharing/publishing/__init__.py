"""Publish a set of files as one version of a repository of the Hub: whole or not at all.

publish(publication, state=...)   upload, verify, tag; gives a Receipt
plan(publication, state=...)      says what that would do
"""

from lyra_data.sharing.publishing.plan import Plan, plan
from lyra_data.sharing.publishing.publication import (
    Publication,
    PublishedFile,
    file_of_bytes,
    files_of_folder,
)
from lyra_data.sharing.publishing.receipt import Receipt, read_receipt, write_receipt
from lyra_data.sharing.publishing.upload import publish

__all__ = [
    "Plan",
    "Publication",
    "PublishedFile",
    "Receipt",
    "file_of_bytes",
    "files_of_folder",
    "plan",
    "publish",
    "read_receipt",
    "write_receipt",
]
