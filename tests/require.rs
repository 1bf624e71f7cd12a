//! The helper that skips tests must not skip what could run, and must not pass over what CI promised to run.

mod common;

use std::panic::catch_unwind;

#[test]
fn a_tool_that_is_there_is_used() {
    let output = common::require("cargo").expect("cargo runs this test").arg("--version").output().unwrap();
    assert!(output.status.success());
}

#[test]
fn a_tool_that_is_missing_fails_the_test_or_skips_it() {
    let outcome = catch_unwind(|| common::require("(no tool: this line is a test)").is_none());
    match std::env::var_os("AARCH64_RELOC_MANDATORY") {
        Some(_) => assert!(outcome.is_err()),
        None => assert!(matches!(outcome, Ok(true))),
    }
}

#[test]
fn a_tool_that_is_too_old_is_named() {
    assert_eq!(common::check("cargo", 1), Ok(()));
    let error = common::check("cargo", 1000).unwrap_err();
    assert!(error.starts_with("cargo is not of version 1000 or later: cargo 1."), "{error}");
}
