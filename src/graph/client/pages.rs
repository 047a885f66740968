//! Listings, page by page, so that memory stays flat whatever the tenant's size.
//!
//! Each link is checked before a token goes there, loops and endless listings are stopped. State changes only after a
//! page was read whole: a call that failed or was dropped can be made again.

use super::super::error::{Error, ErrorAnswer, RequestIds};
use super::super::link::{GraphUrl, LinkFault, PageGuard};
use super::super::request::{Endpoint, Request};
use super::super::response::{Decoded, DeltaItem, Page, decode_delta};
use super::Client;
use super::read::Answered;

/// Pages of a listing that is held in memory as a whole: products and subscriptions come on one.
const SMALL_LISTING_PAGES: usize = 10;

/// Where a listing stands.
#[derive(Debug)]
enum Position {
    Start,
    At(GraphUrl),
    End,
}

/// The links of one listing.
#[derive(Debug)]
struct Trail {
    client: Client,
    request: Request,
    position: Position,
    guard: PageGuard,
    /// Of the newest page: what is wrong with its links is told with them.
    ids: RequestIds,
}

impl Trail {
    fn new(client: Client, request: Request, start: Option<GraphUrl>) -> Self {
        let position = start.map_or(Position::Start, Position::At);
        Self { client, request, position, guard: PageGuard::default(), ids: RequestIds::default() }
    }

    /// The next page, already walked past; `None` at the end.
    async fn next<T>(&mut self, decode: fn(&[u8]) -> Decoded<Page<T>>) -> Result<Option<Page<T>>, Error> {
        let url = match &self.position {
            Position::Start => &self.client.url_of(&self.request)?,
            Position::At(url) => url,
            Position::End => return Ok(None),
        };
        let Answered { value: page, ids } = self.client.read_at(&self.request, url, decode).await?;
        self.ids = ids;
        if let Some(link) = &page.delta {
            // Before anybody stores it.
            self.checked(link)?;
        }
        self.position = match &page.next {
            Some(link) => Position::At(self.follow(link, page.items.len())?),
            None => Position::End,
        };
        Ok(Some(page))
    }

    fn follow(&mut self, link: &str, items: usize) -> Result<GraphUrl, Error> {
        let url = self.checked(link)?;
        self.guard.admit(&url, items).map_err(|fault| self.hostile(fault))?;
        Ok(url)
    }

    fn checked(&self, link: &str) -> Result<GraphUrl, Error> {
        GraphUrl::follow(&self.client.shared.roots, link).map_err(|fault| self.hostile(fault))
    }

    fn hostile(&self, fault: LinkFault) -> Error {
        Error::HostileLink { endpoint: self.request.endpoint, fault, ids: self.ids.clone() }
    }
}

/// A listing. Items of all pages together are complete only after `None`.
#[derive(Debug)]
pub struct Pager<T> {
    trail: Trail,
    decode: fn(&[u8]) -> Decoded<Page<T>>,
}

impl<T> Pager<T> {
    pub(super) fn new(client: Client, request: Request, decode: fn(&[u8]) -> Decoded<Page<T>>) -> Self {
        Self { trail: Trail::new(client, request, None), decode }
    }

    /// The items of the next page, perhaps none; `None` after the last page.
    ///
    /// # Errors
    /// As every read, and [`Error::HostileLink`].
    pub async fn next(&mut self) -> Result<Option<Vec<T>>, Error> {
        Ok(self.trail.next(self.decode).await?.map(|page| page.items))
    }

    /// All items at once: for listings that are small by nature. One that is not is endless, and a page may be as large
    /// as an answer can be.
    pub(super) async fn all(mut self) -> Result<Vec<T>, Error> {
        let mut items = Vec::new();
        for _ in 0..SMALL_LISTING_PAGES {
            match self.next().await? {
                Some(page) => items.extend(page),
                None => return Ok(items),
            }
        }
        Err(self.trail.hostile(LinkFault::Endless))
    }
}

/// A round of changes. The link for the next round is there after `None`.
#[derive(Debug)]
pub struct DeltaPager {
    trail: Trail,
    /// True when nothing but a stored token can be the reason for a 400 or 404.
    has_token: bool,
    delta_link: Option<String>,
}

impl DeltaPager {
    pub(super) fn new(client: Client, request: Request, stored: Option<GraphUrl>) -> Self {
        let has_token = stored.is_some();
        Self { trail: Trail::new(client, request, stored), has_token, delta_link: None }
    }

    /// The next changes, perhaps none; `None` when the round is complete. A user can come several times, in any order
    /// and again in a later round.
    ///
    /// # Errors
    /// As every read, [`Error::HostileLink`], and [`Error::DeltaReset`] when the token is no longer known.
    pub async fn next(&mut self) -> Result<Option<Vec<DeltaItem>>, Error> {
        let page = match self.trail.next(decode_delta).await {
            Ok(page) => page,
            Err(error) => return Err(self.reset_or(error)),
        };
        let Some(page) = page else { return Ok(None) };
        self.has_token = true;
        self.delta_link = page.delta;
        Ok(Some(page.items))
    }

    /// The link for the next round, once [`DeltaPager::next`] has returned `None`.
    pub fn delta_link(&self) -> Option<&str> {
        self.delta_link.as_deref()
    }

    /// Sources differ on how a lost token is reported: 400, 404 or 410, with or without a code or a `Location`. All
    /// of them mean the same where a token was sent. The `Location` is not needed to start again, and not followed.
    fn reset_or(&self, error: Error) -> Error {
        match error {
            Error::Answer { endpoint: Endpoint::UsersDelta, answer } if self.is_reset(&answer) => {
                Error::DeltaReset(answer)
            }
            other => other,
        }
    }

    fn is_reset(&self, answer: &ErrorAnswer) -> bool {
        let says_so = ["syncStateNotFound", "resyncRequired", "Directory_ExpiredPageToken"]
            .iter()
            .any(|code| answer.has_code(code));
        answer.status == 410 || (matches!(answer.status, 400 | 404) && (self.has_token || says_so))
    }
}
