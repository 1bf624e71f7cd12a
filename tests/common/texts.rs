//! The texts of the problems that a source names, to be compared with those that tests reach.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::BTreeSet;

/// The literals in the code of `source` that are of problems: the first in what follows `Malformed`, `Unsupported`, the
/// functions of these names, or `Unknown`, and all that have a space, which no name has.
pub fn problems(source: &str) -> BTreeSet<String> {
    fn collect(tokens: TokenStream, of_problem: bool, texts: &mut BTreeSet<String>) {
        let mut before = String::new();
        for (index, token) in tokens.into_iter().enumerate() {
            match &token {
                TokenTree::Group(group) => {
                    let of_problem =
                        ["Malformed", "malformed", "Unsupported", "unsupported", "Unknown"].contains(&&*before);
                    collect(group.stream(), of_problem, texts);
                }
                TokenTree::Literal(literal) => {
                    let text = literal.to_string();
                    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
                    let of_problem = of_problem && index == 0;
                    texts.extend(text.filter(|text| of_problem || text.contains(' ')).map(str::to_owned));
                }
                _ => {}
            }
            before = token.to_string();
        }
    }
    let code: Vec<_> = source.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let mut texts = BTreeSet::new();
    collect(code.join("\n").parse().unwrap(), false, &mut texts);
    texts
}
