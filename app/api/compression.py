"""Bodies that come compressed (RFC 9110, 8.4; zstd: RFC 8878)."""

from __future__ import annotations

import sys
import zlib

from app.domain.errors import Malformed, TooLarge

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

__all__ = ["inflated", "zstd"]

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
