//! A typed client of the few Microsoft Graph calls that mailkeeper makes. Knows nothing of policy, store or stages.

pub mod transport;
