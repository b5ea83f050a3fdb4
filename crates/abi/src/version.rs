//! The version of the ABI.

/// Binaries of another major version can't be loaded.
pub const ABI_VERSION: core::ffi::c_int = 0;
/// Binaries that ask for more than this can't be loaded.
pub const ABI_VERSION_MINOR: core::ffi::c_int = 0;
