"""The streams of weights of one product, and what each run must know of the one that it reads."""

from __future__ import annotations

from dataclasses import dataclass

from accelsim.compiler.record_table import Fields
from accelsim.program import Int64


@dataclass(frozen=True)
class FetchedStreams:
    """The streams that a product fetched one after the other, of equal size but for the header of the first, and the last of each group.

    Attributes
    ----------
    chunk0, base_bytes : first transfer of the first stream, and stream bytes before it
    header_bytes, stream_bytes : of the first stream; words_bytes : of each other one
    chunk_count, words_chunk_count : transfers of the first stream, and of each other one
    buffered : they take room in the weight buffer, so `base_bytes` grows from one to the next
    group, short : streams of each group, and how many of them, the last ones, are shorter
    short_bytes, short_chunks : what each of those lacks of the others' bytes and transfers
    """

    chunk0: int
    base_bytes: int
    header_bytes: int
    stream_bytes: int
    words_bytes: int
    chunk_count: int
    words_chunk_count: int
    buffered: bool
    group: int = 1
    short: int = 0
    short_bytes: int = 0
    short_chunks: int = 0

    def of_runs(self, stream: int | Int64) -> Fields:
        """Fields of runs that read the given streams."""
        first = stream == 0
        more_bytes, more_chunks = self.stream_bytes - self.words_bytes, self.chunk_count - self.words_chunk_count
        whole = self.group - self.short
        short = stream % self.group >= whole
        short_before = stream // self.group * self.short + short * (stream % self.group - whole)
        before = stream * self.words_bytes - short_before * self.short_bytes
        return {
            "chunk0": self.chunk0 + stream * self.words_chunk_count - short_before * self.short_chunks + (1 - first) * more_chunks,
            "chunk_count": self.words_chunk_count + first * more_chunks - short * self.short_chunks,
            "base_bytes": self.base_bytes + self.buffered * (before + (1 - first) * more_bytes),
            "header_bytes": first * self.header_bytes,
            "stream_bytes": self.words_bytes + first * more_bytes - short * self.short_bytes,
        }
