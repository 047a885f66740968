//! (to come)
use crate::cli::{DemoArgs, Exit};
pub async fn demo(_arguments: &DemoArgs) -> Exit {
    Exit::Failed
}
