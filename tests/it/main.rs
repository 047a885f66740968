//! The fast integration lane: one binary of modules, so that it is linked once. Everything here runs on loopback and in
//! temporary directories, in any order, and waits for conditions, never for time.

mod cases;
mod observe;
mod process;
mod site;
mod stand_in;
mod tidy;
mod wait;
mod write_quota;
