//! TEMP
use crate::settings::LogFormat;
pub fn init_command(_: LogFormat) {}
pub fn init_daemon(_: LogFormat) {}
