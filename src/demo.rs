//! stub
use std::io::Write;
/// stub
pub fn run(_args: &crate::cli::DemoArgs, _out: &mut impl Write) -> std::io::Result<()> {
    Ok(())
}
