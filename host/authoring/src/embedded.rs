//! Text that the program carries along.

include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// What a guest in C needs of a C library, for a target that has none: headers and their bodies.
pub(crate) const C_RUNTIME: &[(&str, &str)] = &[
    ("assert.h", include_str!("../c/assert.h")),
    ("runtime.c", include_str!("../c/runtime.c")),
    ("stdlib.h", include_str!("../c/stdlib.h")),
    ("string.h", include_str!("../c/string.h")),
];
/// Makes a component of a script in JavaScript.
pub(crate) const BUILD_JS: &str = include_str!("../js/build.mjs");
