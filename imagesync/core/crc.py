"""Cyclic redundancy checks of a whole from those of its parts.

S3 tells one checksum for a multipart upload, either of the whole object (``FULL_OBJECT``) or of the parts'
checksums (``COMPOSITE``). Parts are hashed one by one and in any order, so the first has to be put together.
The arithmetic is that of polynomials over GF(2), in the reflected form that all three CRCs use; the parameters
are those of the "Catalogue of parametrised CRC algorithms" (CRC-32/ISO-HDLC, CRC-32/ISCSI, CRC-64/NVME).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Crc:
    """A reflected CRC whose register starts, and is inverted at the end, with all ones."""

    width: int
    """Bits."""
    polynomial: int
    """Reflected."""

    @property
    def size_bytes(self) -> int:
        return self.width // 8

    def of(self, data: bytes) -> int:
        """Bit by bit: for the checksums of a few thousand parts, not for files."""
        ones = (1 << self.width) - 1
        register = ones
        for byte in data:
            register ^= byte
            for _bit in range(8):
                register = (register >> 1) ^ (self.polynomial if register & 1 else 0)
        return register ^ ones

    def joined(self, first: int, second: int, second_length: int) -> int:
        """The CRC of two pieces of data in a row, from theirs and the second's length in bytes."""
        return self._times(self._bytes_later(second_length), first) ^ second

    def _bytes_later(self, count: int) -> int:
        """x to the power of ``8 * count``, modulo the polynomial."""
        result, square = 1 << (self.width - 1), 1 << (self.width - 9)
        while count:
            if count & 1:
                result = self._times(square, result)
            square = self._times(square, square)
            count >>= 1
        return result

    def _times(self, left: int, right: int) -> int:
        """The product modulo the polynomial; the highest bit is the coefficient of x to the power of 0."""
        product, bit = 0, 1 << (self.width - 1)
        while left:
            if left & bit:
                product ^= right
                left ^= bit
            bit >>= 1
            right = (right >> 1) ^ (self.polynomial if right & 1 else 0)
        return product


CRCS = {
    "crc32": Crc(32, 0xEDB88320),
    "crc32c": Crc(32, 0x82F63B78),
    "crc64nvme": Crc(64, 0x9A6C9329AC4BC9B5),
}
"""By the name in S3's ``x-amz-checksum-…``."""
