use super::*;

fn draft(raw: &[u8]) -> (Draft, Option<Reason>) {
    match read(raw.to_vec(), "x.eml".into(), None).read {
        Read::Draft(draft, reason) => (*draft, reason),
        Read::Skipped(reason) | Read::Failed(reason) => panic!("{reason}"),
    }
}

#[test]
fn plain_text_is_preferred_and_attachments_are_listed_and_searched() {
    let raw = b"From: \"B, Ann\" <ann@example.com>\r\nTo: bob@example.com\r\nCc: <c@example.com>\r\n\
        Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@example.com>\r\n\
        Date: Mon, 5 Jan 2026 11:00:00 +0100\r\nMIME-Version: 1.0\r\n\
        Content-Type: multipart/mixed; boundary=m\r\n\r\n\
        --m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n\
        --a\r\nContent-Type: text/plain; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nf=FCr dich=20\r\n\
        --a\r\nContent-Type: text/html\r\n\r\n<p>html</p>\r\n--a--\r\n\
        --m\r\nContent-Type: text/csv; name=\"list.csv\"\r\nContent-Disposition: attachment\r\n\r\nspoke,12\r\n\
        --m\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=a.bin\r\n\
        Content-Transfer-Encoding: base64\r\n\r\nAAEC\r\n--m--\r\n";
    let (draft, reason) = draft(raw);
    assert_eq!(reason, None);
    assert_eq!(draft.title, "Grüße");
    assert_eq!(draft.author, "B, Ann <ann@example.com>");
    assert_eq!(draft.recipients, "bob@example.com, c@example.com");
    assert_eq!(draft.date_secs, Some(1_767_607_200));
    assert_eq!(draft.message_id.as_deref(), Some("1@example.com"));
    assert_eq!(draft.body, "für dich");
    assert!(draft.extra.contains("spoke,12"));
    let attachments: Vec<_> = draft
        .attachments
        .iter()
        .map(|a| (a.name.as_str(), a.media_type.as_str(), a.bytes))
        .collect();
    assert_eq!(
        attachments,
        [("list.csv", "text/csv", 8), ("a.bin", "application/octet-stream", 3)]
    );
    assert_eq!(draft.original.as_deref(), Some(raw.as_slice()));
}

#[test]
fn html_alone_becomes_text() {
    let (draft, _) = draft(
        b"Subject: x\nContent-Type: text/html; charset=utf-8\n\n<p>One &lt;two&gt;</p><script>no()</script>",
    );
    assert_eq!(draft.body, "One <two>");
}

#[test]
fn forwarded_messages_are_read_too() {
    let (draft, reason) = draft(
        b"Subject: outer\nContent-Type: multipart/mixed; boundary=m\n\n--m\n\nsee below\n\
          --m\nContent-Type: message/rfc822\n\nFrom: z@example.com\nSubject: inner\n\nthe inner text\n--m--\n",
    );
    assert_eq!(reason, None);
    assert!(draft.body.contains("see below"), "{}", draft.body);
    assert!(draft.body.contains("From: z@example.com\nSubject: inner\n\nthe inner text"));
    assert_eq!(draft.attachments[0].media_type, "message/rfc822");
    assert_eq!(draft.attachments[0].name, "inner");
}

#[test]
fn messages_without_end_inside_messages_do_not_overflow_the_stack() {
    let mut raw = b"Subject: x\n".to_vec();
    for _ in 0..300_000 {
        raw.extend(b"Content-Type: message/rfc822\n\n");
    }
    let (draft, reason) = draft(&raw);
    assert_eq!(draft.title, "x");
    assert_eq!(reason, Some(Reason::DeepForward));
}

#[test]
fn a_header_in_an_old_charset_is_readable() {
    let (draft, reason) =
        draft(b"From: J\xf6rg <j@example.com>\nSubject: Die Fr\xf6sche und die H\xfchner\n\nx");
    assert_eq!(draft.title, "Die Frösche und die Hühner");
    assert_eq!(draft.author, "Jörg <j@example.com>");
    assert_eq!(reason, Some(Reason::HeaderEncoding("windows-1252")));
}

#[test]
fn what_is_no_mail_is_refused() {
    for (raw, expected) in [
        (b"".as_slice(), Reason::Empty),
        (b"\r\n \n", Reason::Empty),
        (b"just some words\nand more", Reason::NotMail),
        (b"X-Colour: red\n\nbody", Reason::NotMail),
    ] {
        match read(raw.to_vec(), String::new(), None).read {
            Read::Skipped(reason) | Read::Failed(reason) => assert_eq!(reason, expected),
            Read::Draft(..) => panic!("taken for mail"),
        }
    }
}

#[test]
fn absurd_dates_are_left_out_and_the_mailbox_helps() {
    let parsed = read(
        b"Subject: x\nDate: Mon, 99 Foo 2026 99:99:99 +9999\n\nbody".to_vec(),
        String::new(),
        Some(77),
    );
    assert_eq!(parsed.date, None);
    match parsed.read {
        Read::Draft(draft, _) => assert_eq!(draft.date_secs, Some(77)),
        _ => panic!("refused"),
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_are_mail_or_not(head in "(Subject|From|Date|Content-Type): [ -~]{0,40}\n", rest: Vec<u8>) {
        let raw = [head.as_bytes(), &rest].concat();
        let parsed = read(raw, String::new(), None);
        proptest::prop_assert!(!matches!(parsed.read, Read::Failed(Reason::ParserPanicked)));
    }
}
