//! A crate depends on lower floors only, and a heavy library stands in one room.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

use crate::root;

/// Outside libraries that may stand only in the crates named.
const ROOMS: &[(&str, &[&str])] = &[
    ("candle-core", &["hearth-engine-candle", "hearth-engine-tune", "hearth-starter"]),
    ("candle-nn", &["hearth-engine-candle", "hearth-engine-tune", "hearth-starter"]),
    ("tokenizers", &["hearth-engine-candle", "hearth-starter"]),
    ("rusqlite", &["hearth-vault"]),
    ("age", &["hearth-vault"]),
    ("mail-parser", &["hearth-vault"]),
    ("wasmtime", &["hearth-runner", "hearth-compiler"]),
    ("egui", &["hearth-gui"]),
    ("eframe", &["hearth-gui"]),
    ("ureq", &["hearth-registry"]),
    ("clap", &["hearth-bench", "hearth-cli", "hearth-starter", "hearth-xtask"]),
];

fn metadata() -> Metadata {
    MetadataCommand::new().current_dir(root()).no_deps().exec().unwrap()
}

fn floor(package: &Package) -> Option<u64> {
    package.metadata.get("house")?.get("floor")?.as_u64()
}

/// What a package needs to be built and used; what its tests need is its own affair.
fn needs(package: &Package) -> BTreeSet<&str> {
    package
        .dependencies
        .iter()
        .filter(|d| d.kind == DependencyKind::Normal)
        .map(|d| d.name.as_str())
        .collect()
}

#[test]
fn every_crate_stands_on_a_floor_and_depends_on_lower_ones() {
    let metadata = metadata();
    assert_eq!(metadata.packages.len(), metadata.workspace_members.len());
    let floors: BTreeMap<&str, u64> = metadata
        .packages
        .iter()
        .map(|p| (p.name.as_str(), floor(p).unwrap_or_else(|| panic!("{} names no floor", p.name))))
        .collect();
    let mut edges = 0;
    for package in &metadata.packages {
        for needed in needs(package) {
            let Some(below) = floors.get(needed) else {
                assert!(
                    !needed.starts_with("hearth-"),
                    "{needed} is ours and not in the workspace"
                );
                continue;
            };
            edges += 1;
            let above = floors[package.name.as_str()];
            assert!(
                below < &above,
                "{} (floor {above}) depends on {needed} (floor {below})",
                package.name
            );
        }
    }
    assert!(edges > 20, "only {edges} edges seen: is the workspace whole?");
}

#[test]
fn packages_are_named_hearth() {
    for package in metadata().packages {
        assert!(package.name.starts_with("hearth-"), "{}", package.name);
    }
}

#[test]
fn heavy_libraries_stand_in_one_room() {
    let metadata = metadata();
    let mut found = BTreeSet::new();
    for package in &metadata.packages {
        for needed in needs(package) {
            if let Some((library, rooms)) = ROOMS.iter().find(|(library, _)| *library == needed) {
                found.insert(*library);
                assert!(rooms.contains(&package.name.as_str()), "{} uses {library}", package.name);
            }
        }
    }
    assert_eq!(found.len(), ROOMS.len(), "a library of the table is used by nobody");
}

/// Libraries that speak to a network, and what they are made of.
const NETWORK: &[&str] = &[
    "attohttpc",
    "curl",
    "hyper",
    "isahc",
    "mio",
    "minreq",
    "native-tls",
    "oci-client",
    "quinn",
    "reqwest",
    "rustls",
    "socket2",
    "tungstenite",
    "ureq",
];

#[test]
fn one_crate_alone_can_speak_to_a_network() {
    let metadata = metadata();
    for package in metadata.packages.iter().filter(|p| p.name.as_str() != "hearth-registry") {
        for needed in &package.dependencies {
            let name = needed.name.as_str();
            assert!(!NETWORK.contains(&name), "{} depends on {name}", package.name);
            let sockets = needed.features.iter().any(|f| f == "net" || f == "full");
            assert!(!(name == "tokio" && sockets), "{} takes tokio with sockets", package.name);
        }
    }
    let users: Vec<&str> = metadata
        .packages
        .iter()
        .filter(|package| needs(package).contains("hearth-registry"))
        .map(|package| package.name.as_str())
        .collect();
    assert_eq!(users, ["hearth-session"], "what the user asks for goes through the session");
}

#[test]
fn a_plugin_knows_the_sdk_alone() {
    let metadata = metadata();
    let mut plugins = 0;
    for package in &metadata.packages {
        if package.name.starts_with("hearth-plugin-") && package.name != "hearth-plugin-sdk" {
            plugins += 1;
            let ours: Vec<&str> =
                needs(package).into_iter().filter(|n| n.starts_with("hearth-")).collect();
            assert_eq!(ours, ["hearth-plugin-sdk"], "{}", package.name);
        }
    }
    assert!(plugins >= 2);
    let sdk = metadata.packages.iter().find(|p| p.name.as_str() == "hearth-plugin-sdk").unwrap();
    assert!(needs(sdk).iter().all(|n| !n.starts_with("hearth-")));
}

#[test]
fn a_plugin_process_holds_no_edge_to_data() {
    let metadata = metadata();
    for name in ["hearth-runner", "hearth-compiler", "hearth-wasm"] {
        let package = metadata.packages.iter().find(|p| p.name.as_str() == name).unwrap();
        for needed in needs(package) {
            assert!(
                !matches!(needed, "hearth-vault" | "hearth-broker" | "hearth-engine-api"),
                "{name} depends on {needed}"
            );
        }
    }
}

#[test]
fn architecture_lists_the_floors_as_they_are() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap();
    for package in metadata().packages {
        let floor = floor(&package).unwrap();
        let in_table = text.lines().any(|line| {
            line.starts_with(&format!("| {floor} "))
                && line.split(['`', ' ', ',', '|']).any(|word| word == package.name.as_str())
        });
        assert!(in_table, "ARCHITECTURE.md lacks {} on floor {floor}", package.name);
    }
}
