//! End-to-end tests: a real daemon, driven by the `corten` command line, the real docker one, and bare HTTP.
//!
//! Each test has a daemon of its own ([`testkit::Context`]), which asserts at its end that nothing is left.
#![allow(
    clippy::disallowed_methods,
    clippy::tests_outside_test_module,
    reason = "tests run programs and write files"
)]

mod api;
mod bad_input;
mod confinement;
mod crash;
mod drivers;
mod endpoints;
mod exec;
mod first_five_minutes;
mod fsck;
mod host_rules;
mod image_memory;
mod images;
mod inspect;
mod interchange;
mod interrupt;
mod links;
mod logs;
mod manifest;
mod many_networks;
mod mounts;
mod names;
mod network;
mod network_faults;
mod network_security;
mod networks;
mod ports;
mod prune;
mod ps;
mod registry;
mod registry_evil;
mod registry_kinds;
mod registry_login;
mod registry_old;
mod registry_settings;
mod run;
mod runtime;
mod scenes;
mod search;
mod soak;
mod stop;
mod table;
