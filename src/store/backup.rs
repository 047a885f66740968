//! TEMPORARY STUB
pub fn export(_: &super::TenantStore, _: &mut impl std::io::Write) -> Result<(), super::Error> {
    Ok(())
}
pub fn import(_: &super::TenantStore, _: &mut impl std::io::BufRead) -> Result<(), super::Error> {
    Ok(())
}
