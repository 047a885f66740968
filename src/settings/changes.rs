//! Settings are read at the start only: which of them a newer reading of the file changes.

use super::Settings;

impl Settings {
    /// The keys of the file whose values are others in `newer`.
    pub fn changed_in(&self, newer: &Self) -> Vec<&'static str> {
        // Taken apart, so that a new key cannot be forgotten here.
        let Self {
            mode,
            schedule,
            full_schedule,
            state,
            control_socket,
            http,
            metrics,
            log,
            approvals,
            tenants,
            warnings: _,
        } = self;
        let differs: [(&'static str, bool); 10] = [
            ("mode", mode != &newer.mode),
            ("schedule", schedule != &newer.schedule),
            ("full_schedule", full_schedule != &newer.full_schedule),
            ("state", state != &newer.state),
            ("control_socket", control_socket != &newer.control_socket),
            ("http", http != &newer.http),
            ("metrics", metrics != &newer.metrics),
            ("log", log != &newer.log),
            ("approvals", approvals != &newer.approvals),
            ("tenants", tenants != &newer.tenants),
        ];
        differs.into_iter().filter_map(|(key, is_changed)| is_changed.then_some(key)).collect()
    }
}
