"""Downloads over HTTP that continue where an earlier try was cut."""

from __future__ import annotations

import errno
import os
import shutil
from http import HTTPStatus
from io import FileIO
from pathlib import Path
from typing import Any

import requests
from tqdm import tqdm

from benchmark.disk import FULL

_CUT = (requests.exceptions.ChunkedEncodingError, requests.exceptions.ConnectionError, requests.exceptions.Timeout)
_TIMEOUT = 30  # seconds without a byte
_CHUNK = 1 << 13  # what a cut loses of what has arrived, at most


class ResumedDownload:
    """A downloader as pooch calls it. What has arrived stays in `kept` until the file is whole, across processes too.

    A server that allows it (`Range`) sends only the rest; `If-Range` makes it send the whole file where that has changed
    since. After a cut it connects again, as long as each try brings more than all tries before.

    Args:
        kept: The file of what has arrived. A file beside it, `.tag`, has the server's mark of that version.
    """

    def __init__(self, kept: Path) -> None:
        self.kept = kept
        self._tag = kept.with_name(f"{kept.name}.tag")

    def __call__(self, url: str, output_file: Any, pooch: Any, check_only: bool = False) -> None:  # noqa: FBT001, FBT002
        """Downloads `url` to `output_file`, which pooch then checks.

        Raises:
            requests.exceptions.RequestException: if the server refuses, or a try brings nothing new.
            OSError: if the disk is full; before anything is received where the server says how much it sends.
        """
        assert not check_only, "pooch.retrieve never asks for this"
        self.kept.parent.mkdir(parents=True, exist_ok=True)
        most = self._size()
        while True:
            try:
                self._fetch(url)
                break
            except _CUT:
                if self._size() <= most:
                    raise
                most = self._size()
        shutil.move(self.kept, output_file)
        self._tag.unlink()

    def _size(self) -> int:
        return self.kept.stat().st_size if self.kept.exists() else 0

    def _fetch(self, url: str) -> None:
        tag = self._tag.read_text(encoding="utf8") if self._tag.exists() else ""
        start = self._size() if tag else 0
        headers = {"Accept-Encoding": "identity"}  # the bytes as they are stored, which can be counted
        if start:
            headers |= {"Range": f"bytes={start}-", "If-Range": tag}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            sent = response.headers.get("Content-Range", "")
            if start and response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                if sent == f"bytes */{start}":  # all of it had arrived
                    return None
                self.kept.unlink()
                return self._fetch(url)
            response.raise_for_status()
            start = start if response.status_code == HTTPStatus.PARTIAL_CONTENT else 0
            if start and not sent.startswith(f"bytes {start}-"):
                self.kept.unlink()
                return self._fetch(url)
            self._tag.write_text(_version(response), encoding="utf8")
            self._receive(response, start)
        return None

    def _receive(self, response: requests.Response, start: int) -> None:
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        if length and shutil.disk_usage(self.kept.parent).free < int(length):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self.kept))
        with (
            self.kept.open("ab" if start else "wb", buffering=0) as out,
            tqdm(total=total, initial=start, unit="B", unit_scale=True, desc=self.kept.stem, disable=None) as bar,
        ):
            for chunk in response.iter_content(_CHUNK):
                self._write(chunk, out)
                bar.update(len(chunk))
        if total is not None and self._size() < total:  # urllib3 before 2 says nothing
            raise requests.exceptions.ConnectionError(f"the connection was cut after {self._size()} of {total} bytes")

    def _write(self, chunk: bytes, out: FileIO) -> None:
        try:
            while chunk:  # a nearly full disk takes a part
                chunk = chunk[out.write(chunk) :]
        except OSError as error:
            if error.errno in FULL:  # what has arrived would keep the disk full
                self.kept.unlink()
            raise


def _version(response: requests.Response) -> str:
    """What `If-Range` takes: a strong ETag, or the time of the last change; empty where the server sends neither."""
    tag = response.headers.get("ETag", "")
    return tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified", "")
