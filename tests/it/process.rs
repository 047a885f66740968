//! The real binary against the simulated tenant on loopback: arguments in, exit codes, text and requests out. What
//! goes on inside is tested elsewhere; here a command is what an operator or systemd sees.

mod acting;
mod asking;
mod changing;
mod daemon;
mod files;
mod four_eyes;
mod hostile;
mod identity;
mod memory;
mod people;
mod running;
