use std::collections::BTreeSet;

use hearth_base::{Capability, DocumentId, Label, Source};

use super::*;
use crate::{DocumentQuery, NewSaved};

fn id() -> PluginId {
    PluginId::new("org.example.digest").unwrap()
}

fn installed() -> (Vault, PluginRecord) {
    let vault = Vault::in_memory().unwrap();
    let record = PluginRecord {
        id: id(),
        version: "1.0.0".into(),
        manifest: "id = 'org.example.digest'".into(),
        component_hash: "ab".repeat(32),
        sealed: true,
        bundled: false,
        enabled: true,
        suspended: None,
        installed_secs: 1_700_000_000,
    };
    vault.put_plugin(&record).unwrap();
    (vault, record)
}

#[test]
fn a_record_is_written_and_replaced_without_touching_the_grant() {
    let (vault, mut record) = installed();
    assert_eq!(vault.plugin(&id()).unwrap(), Some(record.clone()));
    let grant = Grant { capabilities: BTreeSet::from([Capability::Model]), ..Grant::default() };
    vault.set_grant(&id(), &grant).unwrap();

    record.version = "1.1.0".into();
    record.suspended = Some("too many faults".into());
    vault.put_plugin(&record).unwrap();
    assert_eq!(vault.plugins().unwrap(), vec![record]);
    assert!(vault.grant(&id()).unwrap().allows(Capability::Model));
}

#[test]
fn suspending_touches_nothing_else_and_revives_nobody() {
    let (vault, record) = installed();
    vault.suspend_plugin(&id(), Some("it crashed")).unwrap();
    let suspended = PluginRecord { suspended: Some("it crashed".into()), ..record.clone() };
    assert_eq!(vault.plugins().unwrap(), [suspended]);
    vault.suspend_plugin(&id(), None).unwrap();
    assert_eq!(vault.plugins().unwrap(), [record]);
    vault.remove_plugin(&id(), false).unwrap();
    vault.suspend_plugin(&id(), Some("it crashed")).unwrap();
    assert!(vault.plugins().unwrap().is_empty());
}

#[test]
fn each_change_of_a_grant_is_a_new_epoch_even_across_removal() {
    let (vault, record) = installed();
    assert_eq!(vault.grant(&id()).unwrap(), Grant::default());
    let asked = Grant {
        choice_bits_per_day: 7,
        capabilities: BTreeSet::from([Capability::Model, Capability::DocumentsRead]),
        slots: BTreeMap::from([("inbox".to_owned(), BTreeSet::from([FolderId(3)]))]),
        epoch: 99,
    };
    let given = vault.set_grant(&id(), &asked).unwrap();
    assert_eq!(given, Grant { epoch: 1, ..asked.clone() });
    assert_eq!(vault.grant(&id()).unwrap(), given);
    assert_eq!(vault.set_grant(&id(), &Grant::default()).unwrap().epoch, 2);

    vault.remove_plugin(&id(), true).unwrap();
    vault.put_plugin(&record).unwrap();
    let after = vault.grant(&id()).unwrap();
    assert!(after.capabilities.is_empty());
    assert!(after.epoch > 2, "an old run's epoch must not fit again");
}

#[test]
fn nothing_is_granted_or_kept_for_a_plugin_that_is_not_installed() {
    let vault = Vault::in_memory().unwrap();
    let missing = StoreError::NotFound { what: "plugin" };
    assert_eq!(vault.set_grant(&id(), &Grant::default()).unwrap_err(), missing);
    assert_eq!(vault.set_setting(&id(), "a", &SettingValue::Flag(true)).unwrap_err(), missing);
    assert_eq!(vault.commit_storage(&id(), &BTreeMap::new()).unwrap_err(), missing);
    let kept = Kept { text: "x".into(), label: Label::public() };
    assert_eq!(vault.keep(&id(), "a", &kept).unwrap_err(), missing);
}

#[test]
fn storage_is_replaced_as_a_whole() {
    let (vault, _) = installed();
    let first = BTreeMap::from([("a".to_owned(), vec![1]), ("b".to_owned(), vec![0, 255])]);
    vault.commit_storage(&id(), &first).unwrap();
    assert_eq!(vault.storage(&id()).unwrap(), first);
    let second = BTreeMap::from([("b".to_owned(), Vec::new())]);
    vault.commit_storage(&id(), &second).unwrap();
    assert_eq!(vault.storage(&id()).unwrap(), second);
}

#[test]
fn settings_and_kept_values_come_back_as_they_were() {
    let (vault, _) = installed();
    for value in [
        SettingValue::Flag(true),
        SettingValue::Number(-3),
        SettingValue::Text("ä\"'; DROP TABLE plugins".into()),
        SettingValue::Choice(2),
    ] {
        vault.set_setting(&id(), "key", &value).unwrap();
        assert_eq!(vault.settings(&id()).unwrap(), BTreeMap::from([("key".to_owned(), value)]));
    }
    let label = Label {
        sources: BTreeSet::from([Source::Document(DocumentId(7)), Source::UserInput]),
        origins: BTreeSet::from([hearth_base::Origin::Plugin(id())]),
    };
    let kept = Kept { text: "value".into(), label };
    vault.keep(&id(), "last", &Kept { text: "older".into(), label: Label::public() }).unwrap();
    vault.keep(&id(), "last", &kept).unwrap();
    assert_eq!(vault.kept(&id(), "last").unwrap(), Some(kept));
    assert_eq!(vault.kept(&id(), "other").unwrap(), None);
    assert_eq!(vault.kept_names(&id()).unwrap(), ["last"]);
}

#[test]
fn run_numbers_are_given_out_once() {
    let (vault, record) = installed();
    assert_eq!(vault.next_run(&id()).unwrap(), RunId(1));
    assert_eq!(vault.next_run(&id()).unwrap(), RunId(2));
    vault.remove_plugin(&id(), false).unwrap();
    vault.put_plugin(&record).unwrap();
    assert_eq!(vault.next_run(&id()).unwrap(), RunId(3));
    assert_eq!(vault.run_key().unwrap(), vault.run_key().unwrap());
    assert_ne!(vault.run_key().unwrap(), vault.artefact_key().unwrap());
}

#[test]
fn the_audit_is_read_newest_first_and_by_plugin() {
    let (vault, _) = installed();
    let row = |at_secs, plugin: Option<PluginId>| AuditRow {
        at_secs,
        run: plugin.as_ref().map(|_| RunId(1)),
        plugin,
        what: "documents.granted inbox".into(),
        allowed: at_secs % 2 == 0,
    };
    let rows = [row(1, None), row(2, Some(id())), row(3, Some(id()))];
    for row in &rows {
        vault.audit(row).unwrap();
    }
    let [first, second, third] = rows;
    assert_eq!(vault.audit_rows(None, 2).unwrap(), [third.clone(), second.clone()]);
    assert_eq!(vault.audit_rows(Some(&id()), 9).unwrap(), [third, second]);
    assert_eq!(vault.audit_rows(None, 9).unwrap().last(), Some(&first));
}

#[test]
fn removal_takes_or_leaves_what_was_saved() {
    let (vault, record) = installed();
    let new = NewSaved {
        plugin: id(),
        title: "Digest".into(),
        body: "three mails".into(),
        label: Label::public(),
    };
    vault.save_document(&new).unwrap();
    vault.remove_plugin(&id(), true).unwrap();
    assert_eq!(vault.documents(&DocumentQuery::default()).unwrap().total, 1);
    vault.put_plugin(&record).unwrap();
    vault.remove_plugin(&id(), false).unwrap();
    let query = DocumentQuery { text: "mails".into(), ..DocumentQuery::default() };
    assert_eq!(vault.documents(&query).unwrap().total, 0);
    assert!(vault.folders().unwrap().is_empty());
}

#[test]
fn resuming_touches_nothing_else() {
    let (vault, record) = installed();
    vault.put_plugin(&PluginRecord { suspended: Some("faults".into()), ..record.clone() }).unwrap();
    vault.resume_plugin(&id()).unwrap();
    assert_eq!(vault.plugin(&id()).unwrap(), Some(record));
    let absent = PluginId::new("org.example.absent").unwrap();
    assert_eq!(vault.resume_plugin(&absent), Err(StoreError::NotFound { what: "plugin" }));
}
