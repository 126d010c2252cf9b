"""zstd frames whose size is known and checked before anything is decompressed.

Compression: Collet, Kucherawy, Zstandard Compression and the application/zstd Media Type, RFC 8878, 2021. A frame
states the size of its content; the library's own limit is ignored where it does, so the stated size is compared first.
"""

from typing import Any

from goldcut.errors import MissingExtra, WireError

LEVEL = 1
"""Level 3 makes Z no smaller and takes longer."""


def load_zstd() -> Any:
    """The module zstandard.

    Raises:
        MissingExtra: It is not installed.
    """
    try:
        import zstandard
    except ImportError as error:
        raise MissingExtra("zstandard", "serve") from error
    return zstandard


def compress(content: bytes) -> bytes:
    """One frame that states the size of its content."""
    packed: bytes = load_zstd().ZstdCompressor(level=LEVEL).compress(content)
    return packed


def decompress(frame: memoryview, expected: int) -> bytes:
    """The content of one frame.

    Args:
        frame: All of it and nothing else.
        expected: Bytes that it must hold.

    Raises:
        WireError: It is no frame, states another size or none, holds another size, or something follows it.
    """
    zstd = load_zstd()
    cure = "Compress each row on its own into one frame that states its size."
    try:
        stated = zstd.get_frame_parameters(frame).content_size
        if stated != expected:
            known = "no size" if stated >= 2**63 else f"{stated} bytes"
            raise WireError(f"a compressed row states {known}, expected {expected} bytes", cure)
        content: bytes = zstd.ZstdDecompressor(max_window_size=2**27).decompress(
            frame, max_output_size=expected, allow_extra_data=False
        )
    except zstd.ZstdError as error:
        raise WireError("a compressed row is no whole zstd frame", cure) from error
    if len(content) != expected:
        raise WireError(f"a compressed row holds {len(content)} bytes, expected {expected}", cure)
    return content
