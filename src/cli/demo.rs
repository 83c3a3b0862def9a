//! `aftk demo`.
use super::session::Session;
use crate::problem::Problem;
/// Show the journey
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {}
pub(super) fn run(_: Arguments, _: &Session) -> Result<(), Problem> {
    Ok(())
}
