//! What several tests need.

pub(crate) mod connect_proxy;
pub(crate) mod crash;
pub(crate) mod fake_index;
pub(crate) mod fake_registry;
pub(crate) mod fake_store;
pub(crate) mod fake_upstream;
pub(crate) mod hosting;
pub(crate) mod images;
pub(crate) mod npm_packages;
pub(crate) mod npm_project;
pub(crate) mod published;
pub(crate) mod raw_http;
pub(crate) mod raw_repository;
pub(crate) mod releases;
pub(crate) mod serving;
pub(crate) mod sides;
pub(crate) mod tls;
