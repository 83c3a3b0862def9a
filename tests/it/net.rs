//! The HTTP client against an upstream that misbehaves.
