//! A company and a month of its life, from a seed: what the demo shows and what a large test starts from. Builds on the
//! administrator's acts only; knows no policy.

// People, groups and products.
mod company;

// What happens to them.
mod month;

// What people are called.
mod names;

pub use company::{Company, FRONTLINE_DEPARTMENT, GROUP_LICENSED_DEPARTMENT, Person, Role, products};
pub use month::{Action, Event, Month};
