//! stub
use super::context::Context;
use super::error::ToolError;
use std::path::Path;
pub(super) fn run(_: &Context, _: &[String], _: Option<&Path>) -> Result<(), ToolError> {
    Err(ToolError::failed("x"))
}
