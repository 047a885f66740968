//! From the text of one file to its typed form, with everything that is wrong with it. Two parsers read every file;
//! where they disagree the file is refused, because one of them would be misunderstanding the operator.

use serde::de::DeserializeOwned;

use super::fault::{Complaint, Faults, Place, Source};
use super::locate::{Node, locate};
use super::schema;
use super::shape::{self, Shape};

/// One file, read.
#[derive(Debug)]
pub struct Document<'s, T> {
    /// The typed form; where the file has faults, what could be saved of it, so that all faults are found at once.
    pub file: T,
    pub faults: Faults<'s>,
    root: Option<Node>,
}

impl<'s, T: DeserializeOwned + Default + PartialEq> Document<'s, T> {
    pub fn read(source: &'s Source, shape: &'static Shape) -> Self {
        let mut faults = Faults::new(source);
        let root = locate(source, &mut faults);
        let fitting = root.as_ref().and_then(|root| shape::check(root, shape, &mut faults));
        let saved: T = fitting.and_then(|fitting| serde_json::from_value(fitting).ok()).unwrap_or_default();
        if !faults.has_errors() {
            match schema::read::<T>(&source.text) {
                Ok(typed) if typed == saved => {}
                Ok(_) => {
                    let complaint = Complaint::new(
                        "two YAML parsers read this file differently",
                        "write it more plainly: quote texts, avoid block scalars and unusual line breaks",
                    );
                    faults.error(Place::default(), "", "", complaint);
                }
                Err(error) => {
                    let place = Place { line: error.line, column: error.column, width: 1 };
                    faults.error(place, "", "", Complaint::new(error.message, ""));
                }
            }
        }
        Self { file: saved, faults, root }
    }
}

impl<T> Document<'_, T> {
    /// Where `path` stands, or the nearest thing above it.
    pub fn place(&self, path: &str) -> Place {
        self.root.as_ref().map(|root| root.place_of(path)).unwrap_or_default()
    }

    /// Adds an error at `path`.
    pub fn error(&mut self, path: &str, value: &str, complaint: Complaint) {
        let place = self.place(path);
        self.faults.error(place, path, value, complaint);
    }

    pub fn warning(&mut self, path: &str, value: &str, complaint: Complaint) {
        let place = self.place(path);
        self.faults.warning(place, path, value, complaint);
    }
}

#[cfg(test)]
mod tests {
    use serde::de::{Deserialize, Deserializer, Visitor};

    use super::*;

    /// Comes out differently from the two readers: one lends its texts, the other gives them away.
    #[derive(Debug, Default, PartialEq)]
    struct Telltale {
        was_given_away: bool,
    }

    impl<'de> Deserialize<'de> for Telltale {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            struct Watch;
            impl Visitor<'_> for Watch {
                type Value = Telltale;
                fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("a text")
                }
                fn visit_str<E>(self, _: &str) -> Result<Telltale, E> {
                    Ok(Telltale { was_given_away: false })
                }
                fn visit_string<E>(self, _: String) -> Result<Telltale, E> {
                    Ok(Telltale { was_given_away: true })
                }
            }
            deserializer.deserialize_string(Watch)
        }
    }

    #[test]
    fn a_file_that_two_parsers_read_differently_is_refused() {
        static ANY: Shape = Shape::Text(|_| Ok(()));
        let source = Source { name: "odd.yaml".to_owned(), text: "odd\n".to_owned() };
        let document: Document<'_, Telltale> = Document::read(&source, &ANY);
        let faults = document.faults.into_list();
        assert_eq!(faults[0].message, "two YAML parsers read this file differently");
    }
}
