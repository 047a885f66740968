//! TEMP
use super::TenantView;
use crate::control::Sent;
use crate::model::Ask;
use crate::store::journal::{Line, Verification};
pub fn status(_: &TenantView) -> String {
    String::new()
}
pub fn pass(_: &TenantView, _: &[Sent], _: Option<&str>) -> String {
    String::new()
}
pub fn asks(_: &[Ask]) -> String {
    String::new()
}
pub fn history(_: &[Line]) -> String {
    String::new()
}
pub fn verification(_: &Verification) -> String {
    String::new()
}
pub fn plan_rows(_: &TenantView) -> Vec<String> {
    vec![]
}
