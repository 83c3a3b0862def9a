//! What clients push into hosted repositories, request by request, against a real store.

mod access;
mod faults;
mod life;
mod manifests;
mod mounts;
mod uploads;
