//! Gates on the documents: links that lead somewhere, and no paths of somebody's machine.

use super::Finding;
use super::tree::Tree;

/// First parts of absolute paths that mean the same on every machine, or that the appliance has.
const KNOWN_ROOTS: &[&str] = &[
    "api", "bin", "boot", "config", "dev", "etc", "init", "lib", "metrics", "proc", "run", "sbin",
    "sys", "tmp", "usr", "var",
];

/// Checks every Markdown file.
pub fn check(tree: &Tree, findings: &mut Vec<Finding>) {
    for (path, text) in &tree.markdown {
        for (line, target) in links(text) {
            if let Some(right) = broken(tree, path, text, &target) {
                let what = format!("the link to {target} leads nowhere");
                findings.push(Finding::new(path, line, what, right));
            }
        }
        for (number, line) in text.lines().enumerate() {
            for foreign in foreign_paths(line) {
                findings.push(Finding::new(
                    path,
                    number + 1,
                    format!("{foreign} is a path of one machine"),
                    "a path from the root of the tree, or one that every machine has",
                ));
            }
        }
    }
}

/// Every link of a document outside code, as (line, target).
fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in lines_outside_code(text) {
        let mut rest = line.as_str();
        while let Some(at) = rest.find("](") {
            rest = &rest[at + 2..];
            let end = rest.find(')').unwrap_or(rest.len());
            let target = rest[..end].split_whitespace().next().unwrap_or_default();
            found.push((number, target.trim_matches(['<', '>']).to_owned()));
        }
        let definition = line.strip_prefix('[').and_then(|line| line.split_once("]: "));
        if let Some((_, target)) = definition {
            found.push((number, target.split_whitespace().next().unwrap_or_default().to_owned()));
        }
    }
    found
}

/// Lines outside fenced code, numbered from 1, with inline code cut out.
fn lines_outside_code(text: &str) -> Vec<(usize, String)> {
    let mut fenced = false;
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push((number + 1, line.split('`').step_by(2).collect()));
        }
    }
    lines
}

/// What a link should be, where it leads nowhere.
fn broken(tree: &Tree, path: &str, text: &str, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let Some(file_path) = (if file.is_empty() { Some(path.into()) } else { join(folder, file) })
    else {
        return Some("a path inside the tree".into());
    };
    if !tree.has(&file_path) {
        return Some(format!("a file or folder of the tree; {file_path} is none"));
    }
    let other = tree.markdown.iter().find(|(known, _)| *known == file_path);
    let document = if file.is_empty() { Some(text) } else { other.map(|(_, text)| text.as_str()) };
    match document {
        Some(document) if !anchor.is_empty() && !anchors(document).contains(&anchor.to_owned()) => {
            Some(format!("one of its headings: {}", anchors(document).join(", ")))
        }
        Some(_) | None => None,
    }
}

/// Joins a relative path to a folder of the tree; nothing where it leaves the tree.
fn join(folder: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    if relative.starts_with('/') {
        return None;
    }
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The anchors that the usual renderers give to a document's headings.
fn anchors(text: &str) -> Vec<String> {
    lines_of_headings(text)
        .map(|heading| {
            let kept =
                heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.collect::<String>().trim().to_lowercase().replace(' ', "-")
        })
        .collect()
}

/// The headings of a document without their marks, fenced code left out.
fn lines_of_headings(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter_map(move |line| {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        let heading = line.trim_start_matches('#');
        (!fenced && heading.len() < line.len() && heading.starts_with(' ')).then_some(heading)
    })
}

/// Absolute paths of at least two parts on a line whose first part not every machine has.
fn foreign_paths(line: &str) -> Vec<String> {
    line.split(|c: char| c.is_whitespace() || "`\"'()<>=,;|[]".contains(c))
        .filter(|word| word.starts_with('/') && !word.starts_with("//"))
        .filter(|word| {
            let mut parts = word[1..].split('/');
            let first = parts.next().unwrap_or_default();
            let plain = first.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
            let deep = parts.next().is_some_and(|second| !second.is_empty());
            deep && plain && !first.is_empty() && !KNOWN_ROOTS.contains(&first)
        })
        .filter(|word| !word[1..].starts_with(|c: char| c.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    /// What the gate says about one document in a small tree.
    fn findings(text: &str) -> Vec<String> {
        let paths = ["docs/a.md", "docs/b.md", "board/src/lib.rs"].map(str::to_owned).to_vec();
        let tree = Tree::with_files(Path::new("."), paths, |path| {
            Some(if path == "docs/a.md" { text } else { "# Some heading, b\n" }.to_owned())
        });
        let mut found = Vec::new();
        check(&tree, &mut found);
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn links_lead_somewhere() {
        let cases = [
            ("[b](b.md) and [c](../board/src) and [d](../board/src/lib.rs)", 0),
            ("[b](c.md)", 1),
            ("[b](b.md#some-heading-b) [here](#own)\n\n## Own\n", 0),
            ("[b](b.md#other)", 1),
            ("[up](../../x.md)", 1),
            ("[out](https://example.org/x) `[not](a-link.md)`", 0),
            ("```\n[not](a-link.md)\n```\n", 0),
            ("[b]: nothing.md\n", 1),
        ];
        for (text, expected) in cases {
            let found = findings(text);
            assert_eq!(found.len(), expected, "{text}: {found:?}");
        }
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        let cases = [
            ("see `/home/someone/portico`", 1),
            ("in /mnt/disk/portico/target", 1),
            ("`/config/cluster.toml`, /dev/kvm, /proc/sys/kernel, `/init`", 0),
            ("192.0.2.0/24 or 80/tcp or and/or or // x or /24", 0),
        ];
        for (text, expected) in cases {
            let found = findings(text);
            assert_eq!(found.len(), expected, "{text}: {found:?}");
        }
    }
}
