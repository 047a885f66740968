//! The places where bytes of others come in, taken from the hostile-input tests as they stand there. Nothing is added.

#[path = "../../tests/hostile/inputs.rs"]
pub mod inputs;
#[path = "../../tests/hostile/origin.rs"]
pub mod origin;
#[path = "../../tests/hostile/script.rs"]
pub mod script;
