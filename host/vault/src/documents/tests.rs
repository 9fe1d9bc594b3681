use hearth_base::Capability;
use proptest::prelude::*;

use super::*;

fn draft(kind: DocumentKind, title: &str, body: &str) -> Draft {
    Draft {
        kind,
        title: title.into(),
        author: "Ann <ann@example.com>".into(),
        recipients: String::new(),
        date_secs: Some(1_700_000_000),
        body: body.into(),
        extra: String::new(),
        source: title.into(),
        place: String::new(),
        message_id: None,
        attachments: Vec::new(),
        original: None,
        hash: blake3::hash(body.as_bytes()),
        label: None,
    }
}

fn vault(drafts: &[Draft]) -> Vault {
    let vault = Vault::in_memory().unwrap();
    vault
        .write("fill", |transaction| {
            transaction.execute("INSERT INTO folders (name, created_secs) VALUES ('in', 0)", [])?;
            let folder = FolderId(transaction.last_insert_rowid());
            drafts.iter().try_for_each(|d| insert(transaction, folder, d).map(|_id| ()))
        })
        .unwrap();
    vault
}

fn titles(vault: &Vault, text: &str) -> Vec<String> {
    let query =
        DocumentQuery { text: text.into(), order: Order::Relevance, ..DocumentQuery::default() };
    vault.documents(&query).unwrap().heads.into_iter().map(|head| head.title).collect()
}

#[test]
fn words_are_found_without_regard_to_case_accents_or_their_end() {
    let vault = vault(&[
        draft(DocumentKind::Mail, "Invoice", "The chain and the Café bill."),
        draft(DocumentKind::Note, "Chains", "Kept in the drawer"),
        draft(DocumentKind::Code, "main.rs", "fn chain_length() {}"),
    ]);
    assert_eq!(titles(&vault, "cafe"), ["Invoice"]);
    assert_eq!(titles(&vault, "CHAIN bill"), ["Invoice"]);
    // The last word is open-ended while it is being typed, and a title weighs more than a body.
    assert_eq!(titles(&vault, "chain")[0], "Chains");
    assert_eq!(titles(&vault, "chain").len(), 3);
    // A space ends it.
    let mut ended = titles(&vault, "chain ");
    ended.sort();
    assert_eq!(ended, ["Invoice", "main.rs"]);
    assert_eq!(titles(&vault, "ann@example.com").len(), 3);
    assert!(titles(&vault, "drawers").is_empty());
}

#[test]
fn search_syntax_in_the_text_means_nothing() {
    let vault = vault(&[
        draft(DocumentKind::Note, "One", "alpha"),
        draft(DocumentKind::Note, "Two", "beta"),
        draft(DocumentKind::Note, "Three", "alpha OR beta, title: near"),
    ]);
    assert_eq!(titles(&vault, "alpha OR beta"), ["Three"]);
    assert_eq!(titles(&vault, "title:near"), ["Three"]);
    assert!(titles(&vault, "-alpha NOT gamma").is_empty());
    assert!(titles(&vault, "\"").is_empty());
    assert!(titles(&vault, "***").is_empty());
}

#[test]
fn filters_pages_and_orders() {
    let mut drafts: Vec<Draft> = (0..10)
        .map(|n| Draft { date_secs: Some(n), ..draft(DocumentKind::Note, &n.to_string(), "word") })
        .collect();
    drafts.push(Draft { date_secs: None, ..draft(DocumentKind::Mail, "undated", "word") });
    let vault = vault(&drafts);
    let folder = vault.folders().unwrap()[0].clone();
    assert_eq!((folder.documents, folder.kind), (11, DocumentKind::Note));
    let list = |query: DocumentQuery| -> (Vec<String>, u64) {
        let page = vault.documents(&query).unwrap();
        (page.heads.into_iter().map(|head| head.title).collect(), page.total)
    };
    let all = DocumentQuery::default();
    assert_eq!(list(DocumentQuery { limit: 2, ..all.clone() }), (vec!["9".into(), "8".into()], 11));
    let oldest = DocumentQuery { order: Order::Oldest, offset: 9, ..all.clone() };
    assert_eq!(list(oldest), (vec!["9".into(), "undated".into()], 11));
    let mail = DocumentQuery { kind: Some(DocumentKind::Mail), text: "word".into(), ..all.clone() };
    assert_eq!(list(mail), (vec!["undated".into()], 1));
    let here = DocumentQuery { folders: Some(vec![folder.id]), limit: 0, ..all.clone() };
    assert_eq!(list(here), (vec![], 11));
    assert_eq!(list(DocumentQuery { folders: Some(vec![]), ..all.clone() }).1, 0);
    assert_eq!(list(DocumentQuery { folders: Some(vec![FolderId(99)]), ..all }).1, 0);
}

#[test]
fn a_deleted_document_is_found_no_more() {
    let vault = vault(&[
        draft(DocumentKind::Note, "a", "needle"),
        draft(DocumentKind::Note, "b", "needle"),
    ]);
    let page = vault.documents(&DocumentQuery::default()).unwrap();
    assert!(traces(&vault) > 0);
    vault.delete_document(page.heads[0].id).unwrap();
    assert_eq!(titles(&vault, "needle").len(), 1);
    assert_eq!(vault.document(page.heads[0].id).unwrap(), None);
    vault.delete_folder(page.heads[1].folder).unwrap();
    assert!(titles(&vault, "needle").is_empty());
    assert!(vault.folders().unwrap().is_empty());
    assert_eq!(traces(&vault), 0, "words or originals are left behind");
}

#[test]
fn a_folder_of_many_documents_leaves_no_words_behind_either() {
    let many: Vec<_> = (0..3 * AT_ONCE)
        .map(|n| draft(DocumentKind::Note, &n.to_string(), &format!("needle number {n}")))
        .collect();
    let vault = vault(&many);
    let folder = vault.folders().unwrap()[0].id;
    vault.delete_folder(folder).unwrap();
    assert_eq!(traces(&vault), 0);
    // The index is as before for what comes after.
    let plugin = PluginId::new("org.example.digest").unwrap();
    let new = NewSaved { plugin, title: "t".into(), body: "needle".into(), label: Label::public() };
    let id = vault.save_document(&new).unwrap();
    assert_eq!(titles(&vault, "needle"), ["t"]);
    vault.delete_document(id).unwrap();
    assert_eq!(traces(&vault), 0);
}

/// Places outside the documents that still tell of them.
fn traces(vault: &Vault) -> i64 {
    vault
        .read("count", |connection| {
            connection.query_row(
                "SELECT (SELECT count(*) FROM documents_text_data WHERE instr(block, CAST('needle' AS BLOB)))
                      + (SELECT count(*) FROM originals) + (SELECT count(*) FROM attachments)",
                [],
                |row| row.get::<_, i64>(0),
            )
        })
        .unwrap()
}

#[test]
fn a_replaced_document_keeps_its_id_and_is_found_by_its_new_words_alone() {
    let vault = vault(&[draft(DocumentKind::Note, "a", "former words")]);
    let id = vault.documents(&DocumentQuery::default()).unwrap().heads[0].id;
    let newer = Draft {
        original: Some(b"bytes".to_vec()),
        ..draft(DocumentKind::Note, "a", "later phrases")
    };
    vault.write("replace", |transaction| replace(transaction, id, &newer)).unwrap();
    assert!(titles(&vault, "former").is_empty());
    assert_eq!(titles(&vault, "later"), ["a"]);
    assert_eq!(vault.document(id).unwrap().unwrap().body, "later phrases");
    assert_eq!(vault.raw(id).unwrap().as_deref(), Some(b"bytes".as_slice()));
}

#[test]
fn labels_say_whose_words_a_document_holds() {
    let vault = vault(&[draft(DocumentKind::Mail, "m", "x"), draft(DocumentKind::Code, "c", "y")]);
    let plugin = PluginId::new("org.example.digest").unwrap();
    for head in vault.documents(&DocumentQuery::default()).unwrap().heads {
        let origin = if head.title == "m" { Origin::External } else { Origin::User };
        let label = vault.document(head.id).unwrap().unwrap().label;
        assert_eq!(label, Label::document(head.id, BTreeSet::from([origin])));
    }
    let label = Label {
        sources: BTreeSet::from([Source::Document(DocumentId(1)), Source::UserInput]),
        origins: BTreeSet::from([Origin::External, Origin::Plugin(plugin.clone())]),
    };
    let new = NewSaved { plugin, title: "S".into(), body: "sum".into(), label: label.clone() };
    let (first, second) = (vault.save_document(&new).unwrap(), vault.save_document(&new).unwrap());
    assert_ne!(first, second, "nothing is overwritten");
    let saved = vault.document(first).unwrap().unwrap();
    let mut expected = label;
    expected.sources.insert(Source::Document(first));
    assert_eq!(saved.label, expected);
    assert_eq!(saved.head.kind, DocumentKind::Saved);
    assert_eq!(vault.raw(first).unwrap(), None);
    let folder = vault.folders().unwrap().into_iter().find(|f| f.plugin.is_some()).unwrap();
    assert_eq!((folder.documents, folder.name.as_str()), (2, "org.example.digest"));
}

#[test]
fn snippets_are_short_lines() {
    assert_eq!(snippet("  a\n\n b\tc "), "a b c");
    assert_eq!(snippet(&"ä".repeat(5000)).chars().count(), SNIPPET_CHARS);
    assert_eq!(snippet(&" ".repeat(5000)), "");
}

/// What people could search for while their text must not show up in a log.
#[test]
fn debug_output_shows_no_private_text() {
    let secret = "plum-jam-recipe";
    let text = || secret.to_owned();
    let plugin = PluginId::new("org.example.digest").unwrap();
    let vault = vault(&[draft(DocumentKind::Note, secret, secret)]);
    let page = vault.documents(&DocumentQuery::default()).unwrap();
    let id = page.heads[0].id;
    let query = DocumentQuery { text: text(), ..DocumentQuery::default() };
    let saved =
        NewSaved { plugin: plugin.clone(), title: text(), body: text(), label: Label::public() };
    let attachment = AttachmentHead { name: text(), media_type: text(), bytes: 1 };
    let folder = Folder {
        id: FolderId(1),
        name: text(),
        kind: DocumentKind::Note,
        documents: 1,
        plugin: Some(plugin),
    };
    let talk = vault.new_conversation(secret).unwrap();
    let turn = crate::NewTurn {
        speaker: crate::Speaker::User,
        text: text(),
        attached: vec![id],
        model: text(),
        stopped: false,
    };
    vault.add_turn(talk, &turn).unwrap();
    let entry = crate::ImportEntry {
        path: secret.into(),
        index: 0,
        state: crate::ImportState::Done,
        reason: None,
        subject: Some(text()),
        from: Some(text()),
        date: None,
        body_chars: 3,
    };
    vault.add_model(std::path::Path::new(secret), secret, false).unwrap();
    let progress = crate::ImportProgress { entry: &entry, done_bytes: 1, total_bytes: 1 };
    let kept = crate::Kept { text: text(), label: Label::public() };
    let passphrase = crate::Passphrase::new(text());
    let shown = format!(
        "{page:?} {:?} {query:?} {saved:?} {attachment:?} {folder:?} {turn:?} {:?} {:?} {progress:?} {kept:?} \
         {:?} {passphrase:?} {vault:?} {:#?}",
        vault.document(id).unwrap(),
        vault.turns(talk).unwrap(),
        vault.conversations().unwrap(),
        vault.models().unwrap(),
        Capability::Model,
    );
    assert!(!shown.contains(secret), "{shown}");
    assert!(shown.contains("<15 bytes>"));
}

#[test]
fn errors_quote_no_private_text() {
    let vault = Vault::in_memory().unwrap();
    let secret = "plum-jam-recipe";
    let error = vault
        .read("search", |connection| {
            let sql = "SELECT count(*) FROM documents_text WHERE documents_text MATCH ?1";
            connection.query_row(sql, [format!("\"{secret}")], |row| row.get::<_, i64>(0))
        })
        .unwrap_err();
    assert!(matches!(error, StoreError::Database { op: "search", .. }), "{error:?}");
    assert!(!format!("{error} {error:?}").contains("plum"));
}

proptest! {
    #[test]
    fn no_text_is_an_error(text in ".{0,60}", bytes: Vec<u8>) {
        let vault = Vault::in_memory().unwrap();
        for text in [text, String::from_utf8_lossy(&bytes).into_owned()] {
            let query = DocumentQuery { text, order: Order::Relevance, ..DocumentQuery::default() };
            prop_assert!(vault.documents(&query).is_ok());
        }
    }

    #[test]
    fn each_word_of_a_document_finds_it(words in proptest::collection::vec("[a-zA-Z0-9äöüß]{1,12}", 1..8)) {
        let vault = vault(&[draft(DocumentKind::Note, "t", &words.join(" "))]);
        prop_assert_eq!(titles(&vault, &words.join(" ")).len(), 1);
        for word in &words {
            prop_assert_eq!(titles(&vault, word).len(), 1);
        }
    }
}
