//! One block: its bytes, its users, and how a run of users is cut into blocks. No key-value call.
//!
//! The bytes are those of a `Vec<KnownUser>` in the codec's format; they are assembled from users that were encoded one
//! by one, so that cutting by size encodes nothing twice.

use crate::model::{KnownUser, UserId};

use super::super::codec::{Record, decode};
use super::super::keys::{self, trailing_id};
use super::super::tenant::misplaced;
use super::super::{Cause, Error, Operation, Result};

/// A block that is cut anew holds this many users: the measured optimum.
pub(super) const TARGET_USERS: usize = 64;

/// A block grows to this many users before it is cut.
pub(super) const MAX_USERS: usize = 2 * TARGET_USERS;

/// A block that is cut anew is at most this large, one user excepted.
pub(super) const TARGET_BYTES: usize = 32 << 10;

/// A block grows to this size before it is cut: sled puts values above 128 kB into files of their own.
pub(super) const MAX_BYTES: usize = 2 * TARGET_BYTES;

/// A block as it stands in the store.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) first: UserId,
    pub(super) bytes: Vec<u8>,
    key: Vec<u8>,
}

impl Block {
    pub(super) fn read(key: &[u8], bytes: Vec<u8>) -> Result<Self> {
        let first = trailing_id(key).ok_or_else(|| misplaced(key))?;
        Ok(Self { first, bytes, key: key.to_vec() })
    }

    /// # Errors
    /// [`Error::Corrupt`], also for users out of order: merging would lose some of them.
    pub(super) fn users(&self) -> Result<Vec<KnownUser>> {
        let users: Vec<KnownUser> = decode(&self.key, &self.bytes)?;
        if users.first().map(KnownUser::id) != Some(self.first) {
            return Err(self.corrupt("its first user is not the one of its key"));
        }
        if !users.is_sorted_by(|one, next| one.id() < next.id()) {
            return Err(self.corrupt("its users are not in order"));
        }
        Ok(users)
    }

    /// How many users it holds, without reading them.
    pub(super) fn count(&self) -> Result<u64> {
        match self.bytes.split_first() {
            Some((version, body)) if *version == Vec::<KnownUser>::VERSION => {
                let (count, _) =
                    postcard::take_from_bytes(body).map_err(|error| self.corrupt(&error.to_string()))?;
                Ok(count)
            }
            Some(_) | None => Err(self.corrupt("its format is not known here")),
        }
    }

    fn corrupt(&self, reason: &str) -> Error {
        Error::Corrupt { key: keys::describe(&self.key), reason: reason.to_owned() }
    }
}

/// One user, encoded.
#[derive(Debug)]
pub(super) struct EncodedUser {
    pub(super) id: UserId,
    pub(super) bytes: Vec<u8>,
}

impl EncodedUser {
    pub(super) fn new(user: &KnownUser) -> Result<Self> {
        let id = user.id();
        let bytes = postcard::to_allocvec(user).map_err(|error| Error::Failed {
            operation: Operation::Encode,
            key: format!("user {id}"),
            source: Cause::new(error),
        })?;
        Ok(Self { id, bytes })
    }
}

/// Cuts sorted users into blocks, first id and bytes of each: one where they fit, else even ones of the target size.
pub(super) fn cut(users: &[EncodedUser]) -> Result<Vec<(UserId, Vec<u8>)>> {
    let bytes: usize = users.iter().map(|user| user.bytes.len()).sum();
    if users.len() <= MAX_USERS && bytes <= MAX_BYTES {
        return join(users).map(Vec::from_iter);
    }
    let pieces = users.len().div_ceil(TARGET_USERS);
    let size = users.len().div_ceil(pieces);
    let mut blocks = Vec::new();
    let mut rest = users;
    while !rest.is_empty() {
        let (piece, following) = rest.split_at(fitting(rest, size));
        blocks.extend(join(piece)?);
        rest = following;
    }
    Ok(blocks)
}

/// How many of the first users make a block: at most `size`, at most the target size in bytes, at least one.
fn fitting(users: &[EncodedUser], size: usize) -> usize {
    let mut bytes = 0;
    let fit = users.iter().take(size).take_while(|user| {
        bytes += user.bytes.len();
        bytes <= TARGET_BYTES
    });
    fit.count().max(1)
}

/// All the users as one block, whatever its size; `None` for none.
pub(super) fn join(users: &[EncodedUser]) -> Result<Option<(UserId, Vec<u8>)>> {
    let Some(first) = users.first() else { return Ok(None) };
    let head = postcard::to_extend(&users.len(), vec![Vec::<KnownUser>::VERSION]);
    let mut bytes = head.map_err(|error| Error::Failed {
        operation: Operation::Encode,
        key: format!("the block of user {}", first.id),
        source: Cause::new(error),
    })?;
    for user in users {
        bytes.extend_from_slice(&user.bytes);
    }
    Ok(Some((first.id, bytes)))
}
