//! The C face. What its functions ask for, do and answer is said in the comments here, of which `capi/header` makes
//! `include/aarch64_reloc.h`; the pages in `capi/` say how to use it.
//!
//! Every function is plain calls of the crate: a file here for each of its modules, and [`llvm`] for the memory managers of
//! LLVM's JITs. No function keeps a pointer that it is given unless it says so, and none has global state. Nothing unwinds
//! out of them: a panic, which would be a defect, ends the process (`extern "C"`).

#![allow(unsafe_code, reason = "pointers come from C")]
#![allow(non_camel_case_types, reason = "the names are those of the header")]
#![allow(unreachable_pub, reason = "what is exported to C is nothing to Rust, and cbindgen takes only what is public")]

mod answer;
mod arena;
mod got;
mod island;
mod llvm;
mod memory;
mod pointer;
mod reloc;
mod section;
mod verify;
