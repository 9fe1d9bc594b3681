use std::collections::{BTreeMap, BTreeSet};

use hearth_base::{Capability, FolderId, Label, SettingValue};

use super::*;
use crate::{DocumentQuery, Kept, NewSaved};

const KEY: &str = "RWkey";

fn id() -> PluginId {
    PluginId::new("org.example.digest").unwrap()
}

fn record(version: &str, sealed: bool) -> PluginRecord {
    PluginRecord {
        id: id(),
        version: version.into(),
        manifest: format!("version = '{version}'"),
        component_hash: format!("hash of {version}"),
        sealed,
        bundled: false,
        enabled: true,
        suspended: None,
        installed_secs: 1_700_000_000,
    }
}

fn install(
    vault: &Vault,
    record: &PluginRecord,
    keeps: impl FnOnce(&PluginRecord, &Grant) -> Heritage,
) -> Result<Option<PluginRecord>, StoreError> {
    let provenance =
        Provenance { publisher: KEY.into(), origin: format!("from {}", record.version) };
    let binding = Binding {
        publisher: KEY.into(),
        highest_version: record.version.clone(),
        highest_hash: record.component_hash.clone(),
    };
    vault
        .replace_plugin(&Installation { record, provenance: &provenance, binding: &binding }, keeps)
}

fn grant() -> Grant {
    Grant {
        capabilities: BTreeSet::from([Capability::Model]),
        slots: BTreeMap::from([("inbox".to_owned(), BTreeSet::from([FolderId(3)]))]),
        choice_bits_per_day: 5,
        epoch: 0,
    }
}

/// Every kind of thing that a plugin can leave behind.
fn with_belongings() -> Vault {
    let vault = Vault::in_memory().unwrap();
    install(&vault, &record("1.0.0", true), |_, _| Heritage::nothing()).unwrap();
    vault.set_grant(&id(), &grant()).unwrap();
    vault.set_setting(&id(), "lines", &SettingValue::Number(7)).unwrap();
    store(&vault, "one");
    vault.keep(&id(), "last", &Kept { text: "t".into(), label: Label::public() }).unwrap();
    vault
        .write("switch things on", |transaction| {
            transaction.execute_batch(
                "INSERT INTO plugin_tools (plugin, mode) VALUES ('org.example.digest', 1);
                 INSERT INTO plugin_schedules (plugin, schedule, is_on, last_day)
                 VALUES ('org.example.digest', 'daily', 1, 0);",
            )
        })
        .unwrap();
    vault
}

fn store(vault: &Vault, what: &str) {
    vault.commit_storage(&id(), &BTreeMap::from([("k".to_owned(), what.into())])).unwrap();
}

fn stored(vault: &Vault) -> Option<String> {
    vault.storage(&id()).unwrap().remove("k").map(|value| String::from_utf8(value).unwrap())
}

fn count(vault: &Vault, table: &str) -> u64 {
    let sql = format!("SELECT count(*) FROM {table}");
    vault.read("count", |connection| connection.query_row(&sql, [], |row| row.get(0))).unwrap()
}

/// Granted, settings, storage with kept values, habits.
fn belongings(vault: &Vault) -> (bool, usize, usize, u64) {
    (
        vault.grant(&id()).unwrap().allows(Capability::Model),
        vault.settings(&id()).unwrap().len(),
        vault.storage(&id()).unwrap().len() + vault.kept_names(&id()).unwrap().len(),
        count(vault, "plugin_tools") + count(vault, "plugin_schedules"),
    )
}

#[test]
fn a_successor_takes_over_what_it_may_and_nothing_more() {
    let cut = Grant { slots: BTreeMap::new(), ..grant() };
    for (heritage, left) in [
        (Heritage::nothing(), (false, 0, 0, 0)),
        (Heritage::state(), (false, 1, 2, 0)),
        (Heritage::all(cut.clone()), (true, 1, 2, 2)),
        (Heritage { habits: false, ..Heritage::all(cut.clone()) }, (true, 1, 2, 0)),
        (Heritage { storage: false, ..Heritage::all(cut.clone()) }, (true, 1, 0, 2)),
    ] {
        let vault = with_belongings();
        let successor = record("2.0.0", true);
        let former = install(&vault, &successor, |_, _| heritage.clone()).unwrap().unwrap();
        assert_eq!(former.version, "1.0.0");
        assert_eq!(vault.plugin(&id()).unwrap(), Some(successor));
        assert_eq!(belongings(&vault), left, "{heritage:?}");
        assert_eq!(vault.grant(&id()).unwrap().epoch, 3, "{heritage:?}");
        assert!(vault.grant(&id()).unwrap().slots.is_empty(), "{heritage:?}");
        let due = vault.migration_due(&id()).unwrap();
        assert_eq!(due.as_deref(), heritage.storage.then_some("1.0.0"));
        assert_eq!(vault.former_version(&id()).unwrap().is_some(), heritage.settings);
    }
}

#[test]
fn a_replacement_that_fails_leaves_the_former_whole() {
    for table in ["grants", "plugin_kept"] {
        let vault = with_belongings();
        let trigger = format!(
            "CREATE TRIGGER fault BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, 'fault'); END"
        );
        vault.write("plan a fault", |transaction| transaction.execute_batch(&trigger)).unwrap();
        install(&vault, &record("2.0.0", true), |_, _| Heritage::nothing()).unwrap_err();
        assert_eq!(vault.plugin(&id()).unwrap().unwrap().version, "1.0.0");
        assert_eq!(belongings(&vault), (true, 1, 2, 2));
        assert_eq!(vault.binding(&id()).unwrap().unwrap().highest_version, "1.0.0");
    }
}

#[test]
fn going_back_brings_the_former_grant_and_storage() {
    let vault = with_belongings();
    assert_eq!(
        vault.roll_back(&id(), 9).unwrap_err(),
        StoreError::NotFound { what: "former version of the plugin" }
    );
    install(&vault, &record("2.0.0", true), |_, grant| Heritage::all(grant.clone())).unwrap();
    vault.set_grant(&id(), &Grant::default()).unwrap();
    store(&vault, "two");
    vault.suspend_plugin(&id(), Some("faults")).unwrap();
    let before = vault.grant(&id()).unwrap().epoch;
    let gone = vault.roll_back(&id(), 9).unwrap();
    assert_eq!(gone.version, "2.0.0");
    let back = vault.plugin(&id()).unwrap().unwrap();
    assert_eq!((back.version.as_str(), back.suspended, back.installed_secs), ("1.0.0", None, 9));
    assert_eq!(vault.provenance(&id()).unwrap().unwrap().origin, "from 1.0.0");
    assert_eq!(stored(&vault).as_deref(), Some("one"));
    let granted = vault.grant(&id()).unwrap();
    assert_eq!(granted, Grant { epoch: before + 1, ..grant() });
    assert_eq!(vault.former_version(&id()).unwrap(), None);
    assert_eq!(vault.migration_due(&id()).unwrap(), None);
    // What was once there binds what may come.
    assert_eq!(vault.binding(&id()).unwrap().unwrap().highest_version, "2.0.0");
    assert_eq!(vault.kept_names(&id()).unwrap(), ["last"]);
}

#[test]
fn a_sealed_version_that_comes_back_finds_nothing_of_an_unsealed_one() {
    let vault = with_belongings();
    install(&vault, &record("2.0.0", false), |_, grant| Heritage::all(grant.clone())).unwrap();
    store(&vault, "learnt");
    vault.keep(&id(), "learnt", &Kept { text: "t".into(), label: Label::public() }).unwrap();
    vault.roll_back(&id(), 9).unwrap();
    assert_eq!(stored(&vault).as_deref(), Some("one"));
    assert!(vault.kept_names(&id()).unwrap().is_empty());
}

#[test]
fn the_same_component_again_is_no_version_to_go_back_to() {
    let vault = with_belongings();
    install(&vault, &record("2.0.0", true), |_, grant| Heritage::all(grant.clone())).unwrap();
    install(&vault, &record("2.0.0", true), |_, _| Heritage::state()).unwrap();
    assert_eq!(vault.former_version(&id()).unwrap().unwrap().version, "1.0.0");
    assert_eq!(vault.migration_due(&id()).unwrap().as_deref(), Some("1.0.0"));
    vault.migration_done(&id()).unwrap();
    assert_eq!(vault.migration_due(&id()).unwrap(), None);
    // One that is another's cannot be gone back from.
    install(&vault, &record("3.0.0", true), |_, _| Heritage::nothing()).unwrap();
    assert_eq!(vault.former_version(&id()).unwrap(), None);
    assert_eq!(count(&vault, "plugin_former_storage"), 0);
}

#[test]
fn one_version_waits_and_is_dropped() {
    let vault = with_belongings();
    let version = |version: &str| PluginVersion {
        version: version.into(),
        manifest: "m".into(),
        component_hash: format!("hash of {version}"),
        sealed: false,
        provenance: Provenance { publisher: KEY.into(), origin: "o".into() },
        grant: Grant::default(),
        at_secs: 4,
    };
    vault.put_waiting(&id(), &version("2.0.0")).unwrap();
    vault.put_waiting(&id(), &version("2.0.1")).unwrap();
    assert_eq!(vault.waiting_version(&id()).unwrap(), Some(version("2.0.1")));
    assert_eq!(
        vault.component_hashes().unwrap(),
        BTreeSet::from(["hash of 1.0.0".to_owned(), "hash of 2.0.1".to_owned()])
    );
    vault.drop_waiting(&id()).unwrap();
    assert_eq!(vault.waiting_version(&id()).unwrap(), None);
    let absent = PluginId::new("org.example.absent").unwrap();
    let missing = StoreError::NotFound { what: "plugin" };
    assert_eq!(vault.put_waiting(&absent, &version("1.0.0")), Err(missing));
    // An installation leaves none waiting.
    vault.put_waiting(&id(), &version("2.0.0")).unwrap();
    install(&vault, &record("2.0.0", false), |_, _| Heritage::state()).unwrap();
    assert_eq!(vault.waiting_version(&id()).unwrap(), None);
}

#[test]
fn keys_hand_over_for_all_that_is_bound_to_them() {
    let vault = with_belongings();
    assert_eq!(vault.rotate_publisher(KEY, "RWnew", 7).unwrap(), 1);
    assert_eq!(vault.rotate_publisher("RWnew", "RWnewer", 8).unwrap(), 1);
    assert_eq!(vault.rotate_publisher("RWother", "RWanother", 8).unwrap(), 0);
    assert_eq!(vault.binding(&id()).unwrap().unwrap().publisher, "RWnewer");
    let known = vault.publishers().unwrap();
    let keys: Vec<_> = known.iter().map(|p| (p.key.as_str(), p.replaced_by.as_deref())).collect();
    assert_eq!(
        keys,
        [
            ("RWanother", None),
            (KEY, Some("RWnew")),
            ("RWnew", Some("RWnewer")),
            ("RWnewer", None),
            ("RWother", Some("RWanother"))
        ]
    );
    // Which key the installed file is signed with is as it was.
    assert_eq!(vault.provenance(&id()).unwrap().unwrap().publisher, KEY);
}

#[test]
fn an_offer_is_as_old_as_its_first_sight() {
    let vault = with_belongings();
    assert_eq!(vault.note_offer(&id(), "2.0.0", 100).unwrap(), 100);
    assert_eq!(vault.note_offer(&id(), "2.0.0", 900).unwrap(), 100);
    assert_eq!(vault.note_offer(&id(), "2.0.1", 900).unwrap(), 900);
}

/// Tables in which a plugin that is gone may still be named: counters and accounts that must not start anew, what binds
/// whatever comes under its name, and the activity list.
const OUTLIVING: &[&str] =
    &["plugin_counters", "plugin_bindings", "reveal_accounts", "audit", "turn_calls"];

#[test]
fn removal_leaves_a_plugins_name_in_no_other_table() {
    let vault = with_belongings();
    install(&vault, &record("2.0.0", true), |_, grant| Heritage::all(grant.clone())).unwrap();
    vault.note_offer(&id(), "2.0.0", 1).unwrap();
    let waiting = vault.former_version(&id()).unwrap().unwrap();
    vault.put_waiting(&id(), &waiting).unwrap();
    let saved = NewSaved {
        plugin: id(),
        title: "Digest".into(),
        body: "three mails".into(),
        label: Label::literal(&id()),
    };
    vault.save_document(&saved).unwrap();
    vault.remove_plugin(&id(), false).unwrap();
    let tables: Vec<String> = vault
        .read("list tables", |connection| {
            let sql =
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
            connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
        })
        .unwrap();
    let mut scanned = 0;
    for table in tables.iter().filter(|table| !OUTLIVING.contains(&table.as_str())) {
        let rows = vault.read("scan a table", |connection| {
            let mut statement = connection.prepare(&format!("SELECT * FROM \"{table}\""))?;
            let columns = statement.column_count();
            let rows = statement.query_map([], |row| {
                let cells = (0..columns).map(|n| match row.get_ref(n) {
                    Ok(
                        rusqlite::types::ValueRef::Text(bytes)
                        | rusqlite::types::ValueRef::Blob(bytes),
                    ) => String::from_utf8_lossy(bytes).into_owned(),
                    _ => String::new(),
                });
                Ok(cells.collect::<Vec<_>>().join(" "))
            })?;
            rows.collect::<rusqlite::Result<Vec<_>>>()
        });
        scanned += 1;
        for row in rows.unwrap() {
            assert!(!row.contains(id().as_str()) && !row.contains("three mails"), "{table}: {row}");
        }
    }
    assert!(scanned > 20, "{scanned}");
    assert_eq!(vault.documents(&DocumentQuery::default()).unwrap().total, 0);
    assert!(vault.component_hashes().unwrap().is_empty());
}
