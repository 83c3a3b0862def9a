//! What is kept for how long, and what a damaged or foreign database is told.
