//! Where this machine's apt gets its packages from: both formats of its sources lists.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::process::output;

/// A place to download from, and how what comes from there is verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub uri: String,
    /// Fields for a stanza of our own, such as `signed-by`.
    pub options: Vec<(String, String)>,
}

/// What holds for other suites of the same place as well.
const KEPT: [&str; 8] = [
    "signed-by",
    "trusted",
    "allow-insecure",
    "allow-weak",
    "check-valid-until",
    "valid-until-min",
    "valid-until-max",
    "check-date",
];

impl Source {
    /// The stanza that apt is given for a suite.
    pub fn stanza(&self, suite: &str, architecture: &str) -> String {
        let mut stanza = format!(
            "Types: deb deb-src\nURIs: {}\nSuites: {suite}\nComponents: main\nArchitectures: {architecture}\nTargets: Packages Sources\n",
            self.uri
        );
        for (name, value) in &self.options {
            stanza.push_str(&format!("{name}: {value}\n"));
        }
        stanza
    }
}

/// What apt is configured with here, the likeliest mirror of Debian first. Also the files that were looked at.
pub fn configured() -> Result<(Vec<Source>, Vec<PathBuf>), String> {
    let question = ["shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"];
    let answer = output(Command::new("apt-config").args(question))?;
    let value = |name: &str| {
        let line = answer.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix("='")?.strip_suffix('\''));
        line.map(PathBuf::from)
    };
    let mut files: Vec<_> = value("LIST").into_iter().filter(|list| list.exists()).collect();
    let parts = value("PARTS").and_then(|parts| fs::read_dir(parts).ok());
    let mut parts: Vec<_> = parts.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    parts.retain(|path| path.extension().is_some_and(|extension| extension == "list" || extension == "sources"));
    parts.sort();
    files.extend(parts);
    let mut sources = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
        let deb822 = file.extension().is_some_and(|extension| extension == "sources");
        sources.extend(if deb822 { parse_deb822(&text) } else { parse_lines(&text) });
    }
    Ok((in_order(sources), files))
}

/// Each place once, those that are called `debian` first.
fn in_order(sources: Vec<Source>) -> Vec<Source> {
    let mut unique: Vec<Source> = Vec::new();
    for source in sources {
        if !unique.iter().any(|other| other.uri.trim_end_matches('/') == source.uri.trim_end_matches('/')) {
            unique.push(source);
        }
    }
    unique.sort_by_key(|source| !source.uri.trim_end_matches('/').ends_with("/debian"));
    unique
}

/// Whether other suites may lie beside these.
fn is_usable<'a>(
    uri: &str,
    mut suites: impl Iterator<Item = &'a str>,
    mut parts: impl Iterator<Item = &'a str>,
) -> bool {
    !uri.starts_with("cdrom:")
        && suites.any(|suite| !suite.contains('/') && !suite.ends_with("-security"))
        && parts.any(|part| part == "main")
}

/// `deb [signed-by=/a/keyring.gpg] http://mirror/debian trixie main`
fn parse_lines(text: &str) -> Vec<Source> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    lines.filter_map(|line| parse_line(line.trim())).collect()
}

fn parse_line(line: &str) -> Option<Source> {
    let rest = line.strip_prefix("deb")?;
    let rest = rest.strip_prefix([' ', '\t', '[']).map(|_| rest.trim_start())?;
    let (options, rest) = match rest.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => ("", rest),
    };
    let mut words = rest.split_whitespace();
    let (uri, suite) = (words.next()?, words.next()?);
    if !is_usable(uri, [suite].into_iter(), words) {
        return None;
    }
    let options = options.split_whitespace().filter_map(|option| option.split_once('='));
    let options = options.map(|(name, value)| (name.to_lowercase(), value.replace(',', " ")));
    let options = options.filter(|(name, _)| KEPT.contains(&name.as_str())).collect();
    Some(Source { uri: uri.to_string(), options })
}

/// Stanzas of fields, parted by blank lines.
fn parse_deb822(text: &str) -> Vec<Source> {
    let mut sources = Vec::new();
    let mut fields = Vec::new();
    for line in text.lines().chain([""]) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            sources.extend(parse_stanza(&fields));
            fields.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = fields.last_mut() {
                // Such as a key, whose lines have to stay lines.
                *value = format!("{value}\n{line}");
            }
        } else if let Some((name, value)) = line.split_once(':') {
            fields.push((name.trim().to_lowercase(), value.trim().to_string()));
        }
    }
    sources
}

fn parse_stanza(fields: &[(String, String)]) -> Vec<Source> {
    let field = |wanted: &str| fields.iter().find(|(name, _)| name == wanted).map_or("", |(_, value)| value.as_str());
    let words = |wanted: &str| field(wanted).split_whitespace();
    let enabled =
        !["no", "false", "0", "off", "without", "disable"].contains(&field("enabled").to_lowercase().as_str());
    if !enabled || !words("types").any(|kind| kind == "deb") {
        return Vec::new();
    }
    let options: Vec<_> = fields.iter().filter(|(name, _)| KEPT.contains(&name.as_str())).cloned().collect();
    let uris = words("uris").filter(|uri| is_usable(uri, words("suites"), words("components")));
    uris.map(|uri| Source { uri: uri.to_string(), options: options.clone() }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(uri: &str, options: &[(&str, &str)]) -> Source {
        let options = options.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        Source { uri: uri.to_string(), options }
    }

    #[test]
    fn lines_are_read() {
        let text = "
# deb http://commented.example/debian trixie main
deb http://a.example/debian trixie main contrib  # why
deb-src http://sources.example/debian trixie main
deb [arch=amd64 Signed-By=/k/one.gpg,/k/two.gpg] https://b.example/debian\ttrixie-updates\tmain
deb [ trusted=yes ] http://c.example/debian trixie main
deb http://security.example/debian-security trixie-security main
deb http://old.example/debian-security buster/updates main
deb http://flat.example/ ./
deb http://other.example/ubuntu noble universe
deb cdrom:[Debian]/ trixie main
debian is no keyword
deb http://incomplete.example/
";
        let expected = [
            source("http://a.example/debian", &[]),
            source("https://b.example/debian", &[("signed-by", "/k/one.gpg /k/two.gpg")]),
            source("http://c.example/debian", &[("trusted", "yes")]),
        ];
        assert_eq!(parse_lines(text), expected);
    }

    #[test]
    fn stanzas_are_read() {
        let text = "
# A comment
Types: deb deb-src
# http://snapshot.example
URIs: http://a.example/debian http://b.example/debian/
Suites: trixie
 trixie-updates
Components: main
Signed-By: /k/archive.gpg

types: deb
uris: http://key.example/debian
suites: trixie
components: main
signed-by:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 -----END PGP PUBLIC KEY BLOCK-----

Enabled: no
Types: deb
URIs: http://off.example/debian
Suites: trixie
Components: main

Types: deb-src
URIs: http://sources.example/debian
Suites: trixie
Components: main

Types: deb
URIs: http://security.example/debian-security
Suites: trixie-security
Components: main";
        let key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n -----END PGP PUBLIC KEY BLOCK-----";
        let expected = [
            source("http://a.example/debian", &[("signed-by", "/k/archive.gpg")]),
            source("http://b.example/debian/", &[("signed-by", "/k/archive.gpg")]),
            source("http://key.example/debian", &[("signed-by", key)]),
        ];
        assert_eq!(parse_deb822(text), expected);
    }

    #[test]
    fn each_place_is_asked_once_and_debian_first() {
        let given =
            ["http://x.example/tools", "http://a.example/debian/", "http://a.example/debian", "mirror+file:/m.list"];
        let sorted = in_order(given.map(|uri| source(uri, &[])).into());
        let uris: Vec<_> = sorted.iter().map(|source| source.uri.as_str()).collect();
        assert_eq!(uris, ["http://a.example/debian/", "http://x.example/tools", "mirror+file:/m.list"]);
    }

    #[test]
    fn a_stanza_reads_as_it_was_written() {
        let written = source("http://a.example/debian", &[("signed-by", "\n -----BEGIN-----\n .\n -----END-----")]);
        assert_eq!(parse_deb822(&written.stanza("sid", "amd64")), [written]);
    }
}
