"""Bodies that come compressed (RFC 9110, 8.4; zstd: RFC 8878)."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator

from app.domain.errors import Malformed, TooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["Inflater", "inflated", "zstd"]

_PIECE = 256 * 1024

_ZSTD: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 23}
"""A frame may ask for a window of 8 MiB, which RFC 8878 recommends to support, and for no more."""


def inflated(body: bytes, *, encoding: str, limit: int) -> bytes:
    """What the body becomes, by `gzip` or `zstd`; never more than the limit and one byte of it is held.

    Raises Malformed or TooLarge.
    """
    inflater = zstd.ZstdDecompressor(options=_ZSTD) if encoding == "zstd" else zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        plain = inflater.decompress(body, limit + 1)
    except (zlib.error, zstd.ZstdError) as error:
        raise Malformed(f"The body is not {encoding}, although Content-Encoding says so.") from error
    if len(plain) > limit:
        raise TooLarge(f"A body may have at most {limit} bytes once it is inflated.", limit_bytes=limit)
    if not inflater.eof or inflater.unused_data:
        raise Malformed(f"The {encoding} body is cut off, or something follows it.")
    return plain


class Inflater:
    """A body of any length, undone part by part. It may be several compressed files, one after another."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._file: zstd.ZstdDecompressor | _Gzip | None = None

    def pieces(self, part: bytes) -> Iterator[bytes]:
        """What the next part becomes, a little at a time. Raises Malformed."""
        try:
            while part:
                file = self._file = self._file or (
                    zstd.ZstdDecompressor(options=_ZSTD) if self._encoding == "zstd" else _Gzip()
                )
                yield file.decompress(part, _PIECE)
                while not file.eof and not file.needs_input:
                    yield file.decompress(b"", _PIECE)
                part = b""
                if file.eof:
                    part, self._file = file.unused_data, None
        except (zlib.error, zstd.ZstdError) as error:
            raise Malformed(f"The body is not {self._encoding}, although Content-Encoding says so.") from error

    def finish(self) -> None:
        """Raises Malformed where more was to come."""
        if self._file is not None:
            raise Malformed(f"The {self._encoding} body is cut off.")


class _Gzip:
    """One gzipped file, read as one of zstd is."""

    def __init__(self) -> None:
        self._inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inflater.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflater.unused_data

    def decompress(self, part: bytes, most: int) -> bytes:
        plain = self._inflater.decompress(self._inflater.unconsumed_tail + part, most)
        self.needs_input = len(plain) < most  # it may hold back more than it was allowed to give
        return plain
