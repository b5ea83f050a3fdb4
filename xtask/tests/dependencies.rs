//! Who knows whom: modules within a crate, and crates.
//!
//! What a module names is read from its tokens, by which methods of other modules, called on a value, can't be seen. Two modules may know
//! each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use quote::ToTokens;

type Graph = BTreeMap<String, BTreeSet<String>>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_path_buf()
}

/// The folders of all crates.
fn crates() -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(root().join("crates")).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.push(root().join("xtask"));
    found.sort();
    found
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap().to_string_lossy().into_owned()
}

/// The items of each module, without its tests.
type Modules = BTreeMap<String, Vec<syn::Item>>;

/// All modules of a crate by their names, such as `types::create`; the root's is empty.
fn modules(source: &Path) -> Modules {
    fn add(folder: &Path, prefix: &[String], found: &mut Modules) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let stem = path.file_stem().unwrap().to_string_lossy().into_owned();
            let mut name = prefix.to_vec();
            if path.is_dir() {
                name.push(stem);
                add(&path, &name, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let is_folder_s_own = matches!(stem.as_str(), "mod" | "lib" | "main");
                name.extend((!is_folder_s_own).then_some(stem));
                found.insert(name.join("::"), items(&path));
            }
        }
    }
    let mut found = BTreeMap::new();
    add(source, &[], &mut found);
    found
}

/// A module's items without its tests.
fn items(path: &Path) -> Vec<syn::Item> {
    let is_test = |attributes: &[syn::Attribute]| {
        attributes.iter().any(|attribute| {
            attribute.path().is_ident("cfg")
                && attribute.to_token_stream().to_string().replace(' ', "").contains("(test")
        })
    };
    let file = syn::parse_file(&fs::read_to_string(path).unwrap()).unwrap_or_else(|error| panic!("{path:?}: {error}"));
    file.items.into_iter().filter(|item| !matches!(item, syn::Item::Mod(item) if is_test(&item.attrs))).collect()
}

/// The paths in a piece of code, those of `use` with braces one by one.
fn paths(tokens: TokenStream, prefix: &[String], found: &mut Vec<Vec<String>>) {
    let mut path: Vec<String> = Vec::new();
    let mut joins = false;
    let mut end = |path: &mut Vec<String>| {
        if !path.is_empty() {
            found.push([prefix, path].concat());
            path.clear();
        }
    };
    let mut groups = Vec::new();
    let mut colons = 0;
    for token in tokens {
        match token {
            TokenTree::Ident(ident) => {
                if !joins {
                    end(&mut path);
                }
                path.push(ident.to_string());
                joins = false;
            }
            // A single one stands between a name and its type.
            TokenTree::Punct(punct) if punct.as_char() == ':' => {
                joins = colons == 1;
                colons = if punct.spacing() == Spacing::Joint { 1 } else { 0 };
                if !joins && colons == 0 {
                    end(&mut path);
                }
            }
            TokenTree::Punct(punct) if punct.as_char() == '*' && joins => {
                path.push("*".to_string());
                joins = false;
            }
            TokenTree::Group(group) => {
                let is_tree = joins && group.delimiter() == Delimiter::Brace;
                groups.push((group.stream(), if is_tree { [prefix, &path].concat() } else { Vec::new() }));
                if !is_tree {
                    end(&mut path);
                }
                path.clear();
                joins = false;
            }
            _ => {
                end(&mut path);
                joins = false;
            }
        }
    }
    end(&mut path);
    for (stream, prefix) in groups {
        paths(stream, &prefix, found);
    }
}

/// What a crate's root has from its modules: the name, or `*` and the module's name, with the module's path.
fn reexports(root: &[syn::Item]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for item in root {
        if let syn::Item::Use(item) = item
            && !matches!(item.vis, syn::Visibility::Inherited)
        {
            paths(item.tree.to_token_stream(), &[], &mut found);
        }
    }
    found
}

/// Which module of a crate knows which other one. What the root only hands on is known to be where it is made.
fn graph(folder: &Path) -> Graph {
    let modules = modules(&folder.join("src"));
    let reexports = reexports(&modules[""]);
    let module_of = |path: &[String]| {
        (0..=path.len()).rev().map(|length| path[..length].join("::")).find(|name| modules.contains_key(name))
    };
    let mut graph = Graph::new();
    for (name, items) in &modules {
        let own: Vec<String> = if name.is_empty() { Vec::new() } else { name.split("::").map(String::from).collect() };
        let mut known = BTreeSet::new();
        let mut found = Vec::new();
        // What the file's own `use` has made short.
        let mut short = BTreeMap::new();
        for item in items {
            let is_handed_on = matches!(item, syn::Item::Use(item) if !matches!(item.vis, syn::Visibility::Inherited));
            if !(name.is_empty() && is_handed_on) {
                paths(item.to_token_stream(), &[], &mut found);
            }
            if let syn::Item::Use(item) = item {
                let mut used = Vec::new();
                paths(item.tree.to_token_stream(), &[], &mut used);
                for mut path in used {
                    path.pop_if(|last| last == "self");
                    short.extend(path.last().cloned().map(|last| (last, path)));
                }
            }
        }
        // Those of one name are local, or say who may see something.
        for path in found.into_iter().filter(|path| path.len() > 1) {
            let path = match short.get(&path[0]) {
                Some(long) if !is_rooted(&path[0]) => [&long[..], &path[1..]].concat(),
                _ => path,
            };
            let mut supers = path.iter().take_while(|part| *part == "super").count();
            let absolute = match path[0].as_str() {
                "crate" => path[1..].to_vec(),
                "super" => {
                    // In a module within the file, one step leads to the file's own.
                    supers = supers.min(own.len());
                    [&own[..own.len() - supers], &path[supers..]].concat()
                }
                "self" => [&own[..], &path[1..]].concat(),
                // A module of this one's.
                first if modules.contains_key(&[&own[..], &[first.to_string()]].concat().join("::")) => {
                    [&own[..], &path[..]].concat()
                }
                _ => continue,
            };
            match module_of(&absolute) {
                Some(module) if module.is_empty() => {
                    let by_name = reexports.iter().find(|made| made.len() > 1 && made.last() == absolute.first());
                    let all: Vec<_> = match by_name {
                        Some(made) => vec![made],
                        None if absolute[0] == "*" => reexports.iter().filter(|made| made.len() > 1).collect(),
                        None => reexports.iter().filter(|made| hands_on_all(made, &modules, &absolute[0])).collect(),
                    };
                    if all.is_empty() && declares(&modules[""], &absolute[0]) {
                        known.insert(String::new());
                    }
                    known.extend(all.into_iter().filter_map(|made| module_of(made)));
                }
                Some(module) => _ = known.insert(module),
                None => {}
            }
        }
        known.remove(name);
        graph.insert(name.clone(), known);
    }
    graph
}

fn is_rooted(first: &str) -> bool {
    matches!(first, "crate" | "self" | "super")
}

/// Whether the root hands on all of a module, of which this name is one.
fn hands_on_all(made: &[String], modules: &Modules, name: &str) -> bool {
    let Some((last, module)) = made.split_last() else { return false };
    last == "*" && modules.get(&module.join("::")).is_some_and(|items| declares(items, name))
}

/// Whether a module itself defines something of this name.
fn declares(items: &[syn::Item], name: &str) -> bool {
    items.iter().any(|item| match item {
        syn::Item::Const(item) => item.ident == name,
        syn::Item::Enum(item) => item.ident == name,
        syn::Item::Fn(item) => item.sig.ident == name,
        syn::Item::Macro(item) => item.ident.as_ref().is_some_and(|ident| ident == name),
        syn::Item::Static(item) => item.ident == name,
        syn::Item::Struct(item) => item.ident == name,
        syn::Item::Trait(item) => item.ident == name,
        syn::Item::Type(item) => item.ident == name,
        _ => false,
    })
}

/// The rings of a graph: sets of nodes that all lead to each other.
fn rings(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reached = |start: &String| {
        let mut reached = BTreeSet::new();
        let mut next = vec![start];
        while let Some(node) = next.pop() {
            for known in graph.get(node).into_iter().flatten() {
                if reached.insert(known.clone()) {
                    next.push(known);
                }
            }
        }
        reached
    };
    let reached: BTreeMap<_, _> = graph.keys().map(|node| (node, reached(node))).collect();
    let ring = |node: &String| -> BTreeSet<String> {
        reached[node]
            .iter()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(node)))
            .cloned()
            .collect()
    };
    let found: BTreeSet<_> = graph.keys().map(ring).filter(|ring| ring.len() > 1).collect();
    found.into_iter().collect()
}

fn told(ring: &BTreeSet<String>, graph: &Graph) -> String {
    let name = |module: &String| if module.is_empty() { "(root)".to_string() } else { module.clone() };
    let line = |module: &String| {
        let known: Vec<_> = graph[module].intersection(ring).map(name).collect();
        format!("  {} knows {}\n", name(module), known.join(", "))
    };
    ring.iter().map(line).collect()
}

#[test]
fn modules_make_no_rings_of_more_than_two() {
    let mut text = String::new();
    for folder in crates() {
        let graph = graph(&folder);
        for ring in rings(&graph).iter().filter(|ring| ring.len() > 2) {
            text += &format!("a ring of {} modules in {}:\n{}", ring.len(), name_of(&folder), told(ring, &graph));
        }
    }
    assert!(text.is_empty(), "\n{text}");
}

/// The dependencies of each crate, by the names of their folders or packages.
fn dependencies() -> Graph {
    let mut all = Graph::new();
    for folder in crates() {
        let text = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
        let manifest: toml::Table = text.parse().unwrap();
        let mut known = BTreeSet::new();
        let mut add = |table: &toml::Table| {
            let of = |kind| table.get(kind).and_then(toml::Value::as_table).into_iter().flatten();
            for (name, settings) in of("dependencies").chain(of("build-dependencies")) {
                let is_optional = settings.get("optional").and_then(toml::Value::as_bool).unwrap_or(false);
                // What only the CPython ABI adds is another library.
                if !is_optional {
                    known.insert(name.strip_prefix("hpy-").unwrap_or(name).to_string());
                }
            }
        };
        add(&manifest);
        for target in manifest.get("target").and_then(toml::Value::as_table).into_iter().flat_map(toml::Table::values) {
            add(target.as_table().unwrap());
        }
        all.insert(name_of(&folder), known);
    }
    all
}

#[test]
fn crates_make_no_rings() {
    let all = dependencies();
    let found = rings(&all);
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn layers_and_helpers_know_no_interpreter() {
    let all = dependencies();
    for name in ["abi", "debug", "helpers", "layer", "trace"] {
        let mut reached = BTreeSet::new();
        let mut next = vec![name];
        while let Some(node) = next.pop() {
            next.extend(
                all.get(node).into_iter().flatten().filter(|known| reached.insert(known.as_str())).map(String::as_str),
            );
        }
        for interpreter in ["cpython", "loader", "pyo3-ffi", "pyo3-build-config"] {
            assert!(!reached.contains(interpreter), "{name} knows {interpreter}");
        }
    }
}

/// Files of the loader that a second interpreter would use as they are.
const LOADER_FOR_ALL: [&str; 6] = ["binary", "exports", "interpreter", "layers", "mode", "version"];

#[test]
fn the_loader_knows_its_interpreter_in_places() {
    for name in LOADER_FOR_ALL {
        let path = root().join(format!("crates/loader/src/{name}.rs"));
        let mut found = Vec::new();
        for item in items(&path) {
            paths(item.to_token_stream(), &[], &mut found);
        }
        for interpreter in ["pyo3_ffi", "hpy_cpython", "cpython"] {
            assert!(!found.iter().flatten().any(|known| known == interpreter), "{name}.rs knows {interpreter}");
        }
    }
}

#[test]
fn rings_are_found() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph = Graph::new();
        for (one, other) in edges {
            graph.entry(one.to_string()).or_default().insert(other.to_string());
            graph.entry(other.to_string()).or_default();
        }
        graph
    };
    assert!(rings(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])).is_empty());
    let ring = graph(&[("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")]);
    let found = rings(&ring);
    assert_eq!(found.len(), 1);
    assert_eq!(told(&found[0], &ring), "  a knows b\n  b knows c\n  c knows a\n");
    let mut found = Vec::new();
    let code = "use a::{b, c::{self, d}}; fn f(g: k::L) -> x::Y { z!(p::q) }";
    paths(code.parse().unwrap(), &[], &mut found);
    let found: BTreeSet<_> = found.iter().map(|path| path.join("::")).collect();
    for path in ["a::b", "a::c::self", "a::c::d", "k::L", "x::Y", "p::q"] {
        assert!(found.contains(path), "{path} in {found:?}");
    }
}
