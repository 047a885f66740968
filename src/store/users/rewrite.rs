//! Merging sorted changes into one block and writing what became of it, in batches that each leave every user whole.

use std::collections::VecDeque;

use crate::model::{KnownUser, UserId};

use super::super::kv::{Batches, Write};
use super::super::{Error, Result, TenantStore};
use super::Folded;
use super::block::{Block, EncodedUser, cut, join};

/// Users and bytes that wait at most before they are written. Cut into blocks of the target size they make fewer than
/// 100 writes, so they always fit one batch together with the rest of the old block and its removal.
const WAITING_USERS: usize = 2048;
const WAITING_BYTES: usize = 1 << 20;

/// A block and where the next one starts: all ids in between belong here, those below too when it is the first.
pub(super) struct Range {
    pub(super) block: Option<Block>,
    pub(super) end: Option<UserId>,
}

/// Sorted changes with a look at the next one.
pub(super) struct Ahead<I, T> {
    changes: I,
    head: Option<(UserId, T)>,
}

impl<T, I: Iterator<Item = Result<(UserId, T)>>> Ahead<I, T> {
    pub(super) fn new(changes: I) -> Self {
        Self { changes, head: None }
    }

    pub(super) fn next_id(&mut self) -> Result<Option<UserId>> {
        if self.head.is_none() {
            self.head = self.changes.next().transpose()?;
        }
        Ok(self.head.as_ref().map(|(id, _)| *id))
    }

    pub(super) fn take(&mut self) -> Result<Option<(UserId, T)>> {
        self.next_id()?;
        Ok(self.head.take())
    }

    pub(super) fn take_below(&mut self, bound: UserId) -> Result<Option<(UserId, T)>> {
        match self.next_id()? {
            Some(id) if id < bound => self.take(),
            Some(_) | None => Ok(None),
        }
    }

    pub(super) fn take_at(&mut self, id: UserId) -> Result<Option<T>> {
        match self.next_id()? {
            Some(next) if next == id => Ok(self.head.take().map(|(_, change)| change)),
            Some(_) | None => Ok(None),
        }
    }
}

/// Merges the changes below the end of the range into its block. `merge` is asked about every user of the block and
/// every changed id, in id order.
pub(super) fn rewrite<T, I: Iterator<Item = Result<(UserId, T)>>>(
    store: &TenantStore,
    batches: &mut Batches<'_>,
    range: Range,
    changes: &mut Ahead<I, T>,
    merge: &mut impl FnMut(Option<KnownUser>, Option<T>) -> Option<KnownUser>,
) -> Result<Folded> {
    let Range { block, end } = range;
    let mut known = VecDeque::from(block.as_ref().map(Block::users).transpose()?.unwrap_or_default());
    let mut rewriting = Rewriting::new(store, batches, block);
    loop {
        let changed = changes.next_id()?.filter(|id| end.is_none_or(|end| *id < end));
        let Some(id) = known.front().map(KnownUser::id).into_iter().chain(changed).min() else { break };
        let old = if known.front().is_some_and(|user| user.id() == id) { known.pop_front() } else { None };
        let change = changes.take_at(id)?;
        if let Some(user) = merge(old, change) {
            rewriting.push(id, &user)?;
        }
        if rewriting.is_full() {
            rewriting.write_before(known.iter())?;
        }
    }
    rewriting.finish()
}

/// What becomes of one block.
struct Rewriting<'w, 'kv> {
    store: &'w TenantStore,
    batches: &'w mut Batches<'kv>,
    /// The block that the waiting users replace.
    old: Option<(UserId, Vec<u8>)>,
    waiting: Vec<EncodedUser>,
    waiting_bytes: usize,
    folded: Folded,
}

impl<'w, 'kv> Rewriting<'w, 'kv> {
    fn new(store: &'w TenantStore, batches: &'w mut Batches<'kv>, block: Option<Block>) -> Self {
        let old = block.map(|block| (block.first, block.bytes));
        Self { store, batches, old, waiting: Vec::new(), waiting_bytes: 0, folded: Folded::default() }
    }

    fn push(&mut self, id: UserId, user: &KnownUser) -> Result<()> {
        if user.id() != id {
            return Err(Error::WrongUser { expected: id.to_string(), found: user.id().to_string() });
        }
        let user = EncodedUser::new(user)?;
        self.waiting_bytes += user.bytes.len();
        self.waiting.push(user);
        self.folded.users += 1;
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_USERS || self.waiting_bytes >= WAITING_BYTES
    }

    /// Writes what waits; the users of the old block that did not have their turn become a block of their own in the
    /// same batch, and that is the old block from here on.
    fn write_before<'u>(&mut self, rest: impl Iterator<Item = &'u KnownUser>) -> Result<()> {
        let rest = rest.map(EncodedUser::new).collect::<Result<Vec<_>>>()?;
        let rest = join(&rest)?;
        let mut blocks = cut(&self.waiting)?;
        blocks.extend(rest.clone());
        self.replace(blocks)?;
        self.old = rest;
        self.waiting.clear();
        self.waiting_bytes = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<Folded> {
        let blocks = cut(&self.waiting)?;
        self.replace(blocks)?;
        Ok(self.folded)
    }

    /// Puts `blocks` in the place of the old one; a block that stays as it is costs nothing.
    fn replace(&mut self, mut blocks: Vec<(UserId, Vec<u8>)>) -> Result<()> {
        let mut group = Vec::new();
        if let Some(old) = self.old.take() {
            match blocks.iter().position(|(first, _)| *first == old.0) {
                None => group.push(Write::Delete { key: self.store.keys.user_block(old.0) }),
                Some(at) if blocks[at] == old => drop(blocks.remove(at)),
                Some(_) => {}
            }
        }
        group.extend(
            blocks
                .into_iter()
                .map(|(first, value)| Write::Put { key: self.store.keys.user_block(first), value }),
        );
        self.folded.blocks_changed += group.len() as u64;
        self.batches.add(group)
    }
}
