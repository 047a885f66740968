//! Seats: what is free above the reserve, given out one by one, and what is missing.

use std::collections::BTreeMap;

use crate::model::{Candidate, Catalog, SeatNeed, SkuId, Timestamp};

/// The seats that this plan may still give out.
pub struct Seats<'a> {
    catalog: &'a Catalog,
    left: BTreeMap<SkuId, i64>,
    needs: BTreeMap<SkuId, SeatNeed>,
}

impl<'a> Seats<'a> {
    /// Free is what Graph says, less the policy's reserve, less what our own requests took since.
    pub fn new(
        catalog: &'a Catalog,
        reserved: &BTreeMap<String, u32>,
        in_flight: &BTreeMap<SkuId, u32>,
    ) -> Self {
        let left = catalog.iter().map(|sku| (sku.id, free(catalog, sku.id, reserved, in_flight))).collect();
        Self { catalog, left, needs: BTreeMap::new() }
    }

    /// A seat of the first candidate that has one. Remembers the need otherwise, for the first candidate.
    pub fn take<'c>(
        &mut self,
        candidates: &'c [Candidate],
        act_by: Option<Timestamp>,
    ) -> Option<&'c Candidate> {
        let found = candidates.iter().find(|candidate| self.take_if_free(candidate.sku));
        if found.is_none()
            && let Some(first) = candidates.first()
        {
            self.note_need(first.sku, act_by);
        }
        found
    }

    /// A seat of this product; remembers the need when there is none.
    pub fn take_one(&mut self, sku: SkuId, act_by: Option<Timestamp>) -> bool {
        let is_taken = self.take_if_free(sku);
        if !is_taken {
            self.note_need(sku, act_by);
        }
        is_taken
    }

    pub fn into_needs(self) -> Vec<SeatNeed> {
        self.needs.into_values().collect()
    }

    fn take_if_free(&mut self, sku: SkuId) -> bool {
        match self.left.get_mut(&sku) {
            Some(left) if *left > 0 => {
                *left -= 1;
                true
            }
            Some(_) | None => false,
        }
    }

    fn note_need(&mut self, sku: SkuId, act_by: Option<Timestamp>) {
        let part_number = self.catalog.name(sku);
        let need = self.needs.entry(sku).or_insert(SeatNeed { sku, part_number, missing: 0, by: act_by });
        need.missing += 1;
        need.by = match (need.by, act_by) {
            (Some(first), Some(second)) => Some(first.min(second)),
            (only, None) | (None, only) => only,
        };
    }
}

/// Seats of one product that may be given out; zero or less when there are none.
pub fn free(
    catalog: &Catalog,
    sku: SkuId,
    reserved: &BTreeMap<String, u32>,
    in_flight: &BTreeMap<SkuId, u32>,
) -> i64 {
    let Some(product) = catalog.get(sku).filter(|product| product.is_assignable()) else { return 0 };
    let kept_back: i64 = reserved
        .iter()
        .filter(|(name, _)| catalog.find(name).is_some_and(|reserved| reserved.id == sku))
        .map(|(_, seats)| i64::from(*seats))
        .sum();
    let taken = i64::from(in_flight.get(&sku).copied().unwrap_or(0));
    product.free() - kept_back - taken
}
