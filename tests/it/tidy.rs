//! What the compiler does not hold: who may import whom, how files are written, and that documents agree with the code.
//! Reads the repository as text. Rules with exceptions list them with a reason; an exception that is no longer needed
//! is a fault, too.

mod documents;
mod imports;
mod source;
mod style;

/// Fails with all faults at once.
fn report(what: &str, faults: &[String]) {
    assert!(faults.is_empty(), "{what}:\n  {}", faults.join("\n  "));
}
