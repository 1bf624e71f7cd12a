//! An import goes down the floors that `src/lib.rs` lists, or stays on its own, never up. Unit tests may look anywhere.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// The floor of each module of the root.
type Floors = BTreeMap<String, u32>;

/// What `src/lib.rs` says: `// Floor N: ...`, then the modules on it.
fn floors(lib: &str) -> Floors {
    let mut floors = Floors::new();
    let mut floor = None;
    for line in lib.lines() {
        if let Some(rest) = line.strip_prefix("// Floor ") {
            let number = rest.split(':').next().unwrap().parse().unwrap();
            assert!(floor.is_none_or(|below| below < number), "floor {number} is out of order in src/lib.rs");
            floor = Some(number);
        }
        let module = line.strip_prefix("pub ").unwrap_or(line).strip_prefix("mod ");
        if let Some(module) = module.and_then(|rest| rest.strip_suffix(';')) {
            floors.insert(module.to_owned(), floor.unwrap_or_else(|| panic!("{module} is on no floor in src/lib.rs")));
        }
    }
    floors
}

/// What is wrong with the imports of the module `path` (`["link", "plan"]`) whose source is `text`.
fn offences(floors: &Floors, path: &[&str], text: &str) -> Vec<String> {
    let Some(own) = floors.get(path[0]) else { return vec![format!("{} is on no floor", path[0])] };
    let judge = |import: Vec<String>| {
        let (name, path) = (import.join("::"), path.join("::"));
        match import.first().map(|top| floors.get(top)) {
            Some(Some(floor)) if floor <= own => None,
            Some(Some(floor)) => Some(format!("{path} on floor {own} imports {name} from floor {floor}")),
            _ => Some(format!("{path} imports {name} from the root, which is on no floor")),
        }
    };
    imports(&tokens(text), path).into_iter().filter_map(judge).collect()
}

/// The paths that begin with `crate` or `super`, as seen from the root.
fn imports(tokens: &[String], path: &[&str]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let begins = matches!(&**token, "crate" | "super") && (index == 0 || tokens[index - 1] != "::");
        if begins && tokens.get(index + 1).is_some_and(|next| next == "::") {
            leaves(&tokens[index..], path.iter().map(|&name| name.to_owned()).collect(), &mut found);
        }
    }
    found
}

/// Adds the leaves of the use tree that `tokens` begin with to `found`, and returns what comes after it.
fn leaves<'a>(tokens: &'a [String], mut path: Vec<String>, found: &mut Vec<Vec<String>>) -> &'a [String] {
    let Some((first, mut rest)) = tokens.split_first() else { return tokens };
    match &**first {
        "crate" => path.clear(),
        "super" => drop(path.pop()),
        "{" => {
            while let Some(next) = rest.first().filter(|&next| next != "}") {
                // What is between the trees: commas, and `as` with its name.
                let is_tree = !matches!(&**next, "," | "as");
                rest = if is_tree { leaves(rest, path.clone(), found) } else { &rest[1 + usize::from(next == "as")..] };
            }
            return &rest[1..];
        }
        name => path.push(name.to_owned()),
    }
    match rest.split_first() {
        Some((colons, rest)) if colons == "::" => leaves(rest, path, found),
        _ => {
            found.push(path);
            rest
        }
    }
}

/// The words and signs of `text` without its unit tests. Documentation is a literal to the lexer, so no path is read in it.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    flatten(text.parse().unwrap(), &mut tokens);
    tokens
}

fn flatten(stream: TokenStream, tokens: &mut Vec<String>) {
    let mut trees = stream.into_iter();
    while let Some(tree) = trees.next() {
        match tree {
            TokenTree::Group(group) if group.to_string().replace(' ', "") == "[cfg(test)]" => {
                // The item ends with its body, or with a semicolon.
                trees.find(|tree| match tree {
                    TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
                    TokenTree::Punct(sign) => sign.as_char() == ';',
                    _ => false,
                });
            }
            TokenTree::Group(group) => {
                tokens.push(if group.delimiter() == Delimiter::Brace { "{" } else { "(" }.to_owned());
                flatten(group.stream(), tokens);
                tokens.push(if group.delimiter() == Delimiter::Brace { "}" } else { ")" }.to_owned());
            }
            TokenTree::Punct(sign) if sign.as_char() == ':' && sign.spacing() == Spacing::Joint => {
                trees.next();
                tokens.push("::".to_owned());
            }
            other => tokens.push(other.to_string()),
        }
    }
}

/// Every source below `folder`, with its path as a module.
fn modules(folder: &Path, path: &[String], found: &mut Vec<(Vec<String>, PathBuf)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let file = entry.unwrap().path();
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let module = [path, &[name]].concat();
        if file.is_dir() {
            modules(&file, &module, found);
        } else if file.extension().is_some_and(|extension| extension == "rs") {
            found.push((module, file));
        }
    }
}

#[test]
fn imports_go_down() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let floors = floors(&fs::read_to_string(root.join("lib.rs")).unwrap());
    let mut sources = Vec::new();
    modules(&root, &[], &mut sources);
    for module in floors.keys() {
        assert!(sources.iter().any(|(path, _)| path == std::slice::from_ref(module)), "{module} has no source");
    }
    let offences = sources.iter().filter(|(path, _)| path[0] != "lib").flat_map(|(path, file)| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        offences(&floors, &path, &fs::read_to_string(file).unwrap())
    });
    let lines: Vec<String> = offences.collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

mod checker {
    use super::*;

    const LIB: &str =
        "//! Docs.\n// Floor 0: facts.\npub mod low;\n\n// Floor 3: more.\nmod mid;\n#[cfg(x)]\npub mod high;\n";

    #[track_caller]
    fn refused(path: &[&str], text: &str, lines: &[&str]) {
        assert_eq!(offences(&floors(LIB), path, text), lines, "{text}");
    }

    #[test]
    fn floors_are_read_from_the_list() {
        let expected = [("low", 0), ("mid", 3), ("high", 3)].map(|(name, floor)| (name.to_owned(), floor));
        assert_eq!(floors(LIB), Floors::from(expected));
    }

    #[test]
    #[should_panic = "floor 2 is out of order"]
    fn floors_ascend() {
        floors("// Floor 3: more.\n// Floor 2: less.\n");
    }

    #[test]
    fn an_import_from_above_is_an_offence() {
        let line = "low on floor 0 imports mid::Thing from floor 3";
        for text in [
            "use crate::mid::Thing;",
            "pub(crate) use super::mid::Thing as Other;",
            "fn f() { let x: crate::mid::Thing; }",
            "fn f() -> Option<super::mid::Thing> { g(1, super::low::X) }",
            "use crate::{low::{self, A}, mid::Thing};",
            "use crate::{low as l, mid::{Thing}};",
            "use {core::fmt, crate::mid::Thing};",
            "#[cfg(test)] mod tests { use super::*; }\nuse crate::mid::Thing;",
            "#[cfg(test)] use core::fmt;\nuse crate::mid::Thing;",
        ] {
            refused(&["low"], text, &[line]);
        }
        refused(&["low", "deep"], "use super::super::mid::*;", &["low::deep on floor 0 imports mid::* from floor 3"]);
        refused(
            &["low"],
            "use crate::mid::{A, B};",
            &["low on floor 0 imports mid::A from floor 3", "low on floor 0 imports mid::B from floor 3"],
        );
    }

    #[test]
    fn the_root_is_no_way_around() {
        refused(&["low"], "use crate::Thing;", &["low imports Thing from the root, which is on no floor"]);
        refused(&["low"], "use super::*;", &["low imports * from the root, which is on no floor"]);
        refused(&["stray"], "", &["stray is on no floor"]);
    }

    #[test]
    fn the_rest_is_free() {
        for text in [
            "use crate::low::Fact; use super::high::{self, Peer};",
            "/// [`x`](crate::above::x)\n//! use crate::above;\npub(crate) fn f() { /* crate::above::x */ }",
            "const A: &str = \"crate::above::x\"; const B: char = '\"'; fn f<'a>(x: &'a u8) {}",
            "#[cfg(test)]\nmod tests { use crate::above::x; }",
            "use core::fmt; use elf::abi;",
        ] {
            refused(&["mid"], text, &[]);
        }
        refused(&["mid", "deep"], "use super::other::x; use super::*;", &[]);
    }
}
