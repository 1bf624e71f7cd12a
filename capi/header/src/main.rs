//! Writes `include/aarch64_reloc.h` from the comments and signatures in `src/capi`: `cargo run` here.

use cbindgen::{Builder, Config, EnumConfig, ExportConfig, Language, RenameRule, Style};
use std::path::Path;

/// The sources in the order of the header.
const SOURCES: [&str; 9] = ["answer", "reloc", "section", "got", "island", "arena", "memory", "verify", "llvm"];

/// Enumerations whose numbers are passed as plain ones.
const ENUMERATIONS: [&str; 6] =
    ["a64r_class", "a64r_endian", "a64r_got_kind", "a64r_purpose", "a64r_prot", "a64r_llvm_flag"];

const HEAD: &str = "\
/*
 * aarch64-reloc: relocates AArch64 code. Made by capi/header from src/capi; how to use it is told in capi/README.md.
 *
 * Every pointer that is not said to be allowed null points to what its type says; where null is given all the same, the answer
 * is A64R_STATUS_NULL. No function keeps a pointer unless it says so. An object is freed by the function of its name, once.
 * Functions of one object must not run at once, but for those whose object says otherwise; of different objects they may. There
 * is no global state, and nothing is thrown. `uint32_t` arguments and fields that stand for an enumeration say so; any other
 * number is answered by A64R_STATUS_INVALID.
 */";

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let config = Config {
        language: Language::C,
        style: Style::Both,
        cpp_compat: true,
        header: Some(HEAD.to_owned()),
        include_guard: Some("AARCH64_RELOC_H".to_owned()),
        no_includes: true,
        sys_includes: ["stdbool.h", "stddef.h", "stdint.h"].map(str::to_owned).into(),
        usize_is_size_t: true,
        line_length: 120,
        documentation: true,
        export: ExportConfig { include: ENUMERATIONS.map(str::to_owned).into(), ..ExportConfig::default() },
        enumeration: EnumConfig { rename_variants: RenameRule::QualifiedScreamingSnakeCase, ..EnumConfig::default() },
        ..Config::default()
    };
    let source = |builder: Builder, name: &&str| builder.with_src(root.join(format!("src/capi/{name}.rs")));
    let builder = SOURCES.iter().fold(Builder::new().with_config(config), source);
    let bindings = builder.generate().expect("the sources can be read");
    bindings.write_to_file(root.join("include/aarch64_reloc.h"));
}
