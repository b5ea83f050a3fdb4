//! Which version this is.

/// Of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Of the sources.
pub const REVISION: &str = env!("HPY_GIT_REVISION");
