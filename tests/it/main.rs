//! The fast lane: one binary of modules, no network, no sleeps.

mod cases;
