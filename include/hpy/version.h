/* Version of these headers. Packages are built with the revision filled in. */
#ifndef HPY_VERSION
#define HPY_VERSION "0.10.0"
#define HPY_GIT_REVISION "unknown"
#endif
