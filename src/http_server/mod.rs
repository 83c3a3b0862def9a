//! The listener: mounts, ranges, ETags, compression, streaming.
