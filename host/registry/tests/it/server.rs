//! A server that answers by rule, one connection after the other, and notes what it was asked.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

/// What is answered to a path.
#[derive(Clone)]
pub(crate) enum Reply {
    /// This, with status 200.
    Bytes(Vec<u8>),
    /// A status without content, and headers.
    Status(u16, Vec<(&'static str, String)>),
    /// This, only to who brings the token; to others, where to get it.
    ForToken(&'static str, Vec<u8>),
    /// A length that is claimed, and fewer bytes.
    Short(usize, Vec<u8>),
    /// Bytes without end and without a length.
    Endless,
}

pub(crate) struct Server {
    pub(crate) address: String,
    asked: Arc<Mutex<Vec<String>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn new(rules: impl FnOnce(&str) -> BTreeMap<String, Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let rules = rules(&address);
        let (asked, over) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (asked, over, address) = (Arc::clone(&asked), Arc::clone(&over), address.clone());
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    if over.load(Ordering::SeqCst) {
                        return;
                    }
                    // Whoever asked may have gone.
                    serve(stream.unwrap(), &rules, &asked, &address).ok();
                }
            })
        };
        Self { address, asked, over, thread: Some(thread) }
    }

    /// The paths asked for, in their order.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        drop(TcpStream::connect(&self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn serve(
    mut stream: TcpStream,
    rules: &BTreeMap<String, Reply>,
    asked: &Mutex<Vec<String>>,
    address: &str,
) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?.take(64 << 10));
    let (mut line, mut token) = (String::new(), false);
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header)? == 0 || header.trim().is_empty() {
            break;
        }
        token |= header.trim().eq_ignore_ascii_case("authorization: bearer sesame");
    }
    let mark = if token { " with token" } else { "" };
    asked.lock().unwrap().push(format!("{path}{mark}"));
    let ok = |length: usize| {
        format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
    };
    match rules.get(&path) {
        None => write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
        ),
        Some(Reply::Status(status, headers)) => {
            write!(stream, "HTTP/1.1 {status} So\r\nConnection: close\r\nContent-Length: 0\r\n")?;
            for (name, value) in headers {
                write!(stream, "{name}: {value}\r\n")?;
            }
            write!(stream, "\r\n")
        }
        Some(Reply::ForToken(scope, bytes)) if token => {
            let _scope = scope;
            stream.write_all(ok(bytes.len()).as_bytes())?;
            stream.write_all(bytes)
        }
        Some(Reply::ForToken(scope, _)) => write!(
            stream,
            "HTTP/1.1 401 No\r\nConnection: close\r\nContent-Length: 0\r\nWWW-Authenticate: Bearer \
             realm=\"http://{address}/token\",service=\"test\",scope=\"{scope}\"\r\n\r\n"
        ),
        Some(Reply::Bytes(bytes)) => {
            stream.write_all(ok(bytes.len()).as_bytes())?;
            stream.write_all(bytes)
        }
        Some(Reply::Short(length, bytes)) => {
            stream.write_all(ok(*length).as_bytes())?;
            stream.write_all(bytes)
        }
        Some(Reply::Endless) => {
            write!(stream, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 4096])?;
            }
        }
    }
}
