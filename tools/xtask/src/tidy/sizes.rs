//! Gates on sizes: lines, functions and files that a reader can hold in mind.

use super::Finding;
use super::source::{Source, closing};
use super::tree::Tree;

/// The longest file, in lines, its tests not counted.
const FILE_LINES: usize = 500;
/// The widest line, in characters.
const COLUMNS: usize = 100;
/// The longest function, in lines from `fn` to the closing brace, comments and blanks counted.
const FUNCTION_LINES: usize = 69;

/// Measures every Rust file.
pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for source in &tree.rust {
        let lines = source.lines_without_tests();
        if lines > FILE_LINES {
            findings.push(Finding::new(
                &source.path,
                FILE_LINES,
                format!("{lines} lines without its tests"),
                format!("at most {FILE_LINES}, better under 280: another file for another concern"),
            ));
        }
        for (number, line) in source.text.lines().enumerate() {
            let columns = line.chars().count();
            if columns > COLUMNS {
                findings.push(Finding::new(
                    &source.path,
                    number + 1,
                    format!("{columns} columns"),
                    format!("at most {COLUMNS}"),
                ));
            }
        }
        check_functions(source, findings);
    }
}

/// Measures the functions outside tests. Approximation: a function is the word `fn` with a name
/// behind it, up to the brace that closes the first one opened; tests are tables and may be long.
fn check_functions(source: &Source, findings: &mut Vec<Finding>) {
    for at in source.find("fn") {
        let rest = &source.code[at + 2..];
        let name: String =
            rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        let Some(open) = rest.find(['{', ';']).map(|offset| at + 2 + offset) else { continue };
        if name.is_empty() || source.is_test(at) || source.code.as_bytes()[open] == b';' {
            continue;
        }
        let lines = source.line(closing(&source.code, open) - 1) - source.line(at) + 1;
        if lines > FUNCTION_LINES {
            findings.push(Finding::new(
                &source.path,
                source.line(at),
                format!("the function {name} has {lines} lines"),
                format!("at most {FUNCTION_LINES}"),
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::tests::found_in;

    const PATH: &str = "board/src/lib.rs";

    #[test]
    fn long_files_are_found_and_tests_do_not_count() {
        let code = |lines: usize| "const A: u8 = 1;\n".repeat(lines);
        assert_eq!(found_in(check, PATH, &code(FILE_LINES)).len(), 0);
        assert_eq!(found_in(check, PATH, &code(FILE_LINES + 1)).len(), 1);
        let tests = format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", code(400), code(400));
        assert_eq!(found_in(check, PATH, &tests).len(), 0);
    }

    #[test]
    fn wide_lines_are_found_by_characters() {
        assert_eq!(found_in(check, PATH, &format!("// {}\n", "é".repeat(97))).len(), 0);
        assert_eq!(found_in(check, PATH, &format!("// {}\n", "é".repeat(98))).len(), 1);
    }

    #[test]
    fn long_functions_are_found() {
        let function = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2));
        assert_eq!(found_in(check, PATH, &function(FUNCTION_LINES)).len(), 0);
        assert_eq!(found_in(check, PATH, &function(FUNCTION_LINES + 1)).len(), 1);
        let test = format!("#[cfg(test)]\nmod tests {{\n{}}}\n", function(FUNCTION_LINES + 30));
        assert_eq!(found_in(check, PATH, &test).len(), 0);
    }
}
