//! Keys, the root document, and who may sign what.
