//! Whatever write fails, an import is seen whole or not at all, and the next run completes it.
