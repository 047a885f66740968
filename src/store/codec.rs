//! Records as bytes: one version byte, then the record.
//!
//! Two encodings. What exists once per user is postcard, for size and speed. What exists once per tenant or per drift
//! is JSON: it can gain fields without a new version, and the internally tagged enums of the model need a
//! self-describing format. No key is built here, and nothing here decides what to do with a record that cannot be
//! read.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Cause, Error, Operation, Result, keys};

/// How a kind of record is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    Postcard,
    Json,
}

/// A kind of record. The version goes up with every change that older bytes do not survive; decoding then gains an arm
/// for the older one.
pub trait Record: Serialize + DeserializeOwned {
    const VERSION: u8 = 1;
    const ENCODING: Encoding;
}

/// # Errors
/// [`Error::Failed`] when the record holds something that the encoding cannot express.
pub fn encode<T: Record>(key: &[u8], record: &T) -> Result<Vec<u8>> {
    let body = match T::ENCODING {
        Encoding::Postcard => postcard::to_extend(record, vec![T::VERSION]).map_err(Cause::new),
        Encoding::Json => {
            let mut bytes = vec![T::VERSION];
            serde_json::to_writer(&mut bytes, record).map(|()| bytes).map_err(Cause::new)
        }
    };
    body.map_err(|source| Error::Failed { operation: Operation::Encode, key: keys::describe(key), source })
}

/// # Errors
/// [`Error::Corrupt`] for an unknown version, broken bytes, and bytes after the end. Never panics.
pub fn decode<T: Record>(key: &[u8], bytes: &[u8]) -> Result<T> {
    let corrupt = |reason: String| Error::Corrupt { key: keys::describe(key), reason };
    let (version, body) = bytes.split_first().ok_or_else(|| corrupt("it is empty".to_owned()))?;
    if *version != T::VERSION {
        return Err(corrupt(format!("format {version} is not known here, only {}", T::VERSION)));
    }
    match T::ENCODING {
        Encoding::Json => serde_json::from_slice(body).map_err(|error| corrupt(error.to_string())),
        Encoding::Postcard => match postcard::take_from_bytes(body) {
            Ok((record, [])) => Ok(record),
            Ok((_, rest)) => Err(corrupt(format!("{} bytes too many", rest.len()))),
            Err(error) => Err(corrupt(error.to_string())),
        },
    }
}

#[cfg(test)]
mod tests;
