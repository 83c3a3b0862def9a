//! Configuration files and the environment: aftk.toml, site.toml.
