//! The benchmark of the write quota with fewer repairs, in every test run. That another program spends the same quota
//! shows with thousands of repairs only: `cargo bench --bench write_quota`.

#[path = "../bench/repairs.rs"]
mod repairs;

use repairs::{HEAD, run, stories};

const REPAIRS: usize = 1_200;

fn keeps_its_bounds(number: usize) {
    let figures = run(stories(REPAIRS)[number]);
    let broken = figures.broken();
    assert!(broken.is_empty(), "{broken:?}\n{HEAD}\n{}", figures.row());
}

#[test]
fn repairs_keep_pace_with_the_quota() {
    keeps_its_bounds(0);
}

#[test]
fn a_restart_half_way_does_not_spend_the_quota_twice() {
    keeps_its_bounds(1);
}

#[test]
fn refusals_at_random_do_not_slow_the_others() {
    keeps_its_bounds(2);
}
