//! The hermetic tests: no network, no client but our own.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]
#![allow(clippy::disallowed_methods, reason = "tests lay out and damage files of their own")]

mod apt_collect;
mod apt_push;
mod apt_serve;
mod attacks;
mod bundle_index;
mod channel;
mod concurrency;
mod damage;
mod deltas;
mod demo;
mod export;
mod faults;
mod getting_back;
mod heal;
mod hostile;
mod hosting;
mod http_server;
mod image_journey;
mod images;
mod inbox;
mod journey;
mod kill;
mod lock;
mod loss;
mod net;
mod npm_login;
mod npm_network;
mod npm_proof;
mod npm_publish;
mod npm_push;
mod npm_serve;
mod pack;
mod push;
mod pypi_collect;
mod pypi_push;
mod pypi_serve;
mod pypi_uploads;
mod repair;
mod review;
mod stopped;
mod support;
mod volumes;
mod wanted;
mod year;
