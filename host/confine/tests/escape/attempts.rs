//! The attempts, each in a process of its own.
#![expect(unsafe_code, reason = "these are the calls that safe code does not offer")]

use std::{
    collections::HashMap,
    ffi::{c_long, c_void},
    io::{self, Read, Write},
    ptr,
    sync::atomic::{AtomicU32, Ordering},
    thread,
    time::{Duration, Instant},
};

use hearth_base::Confinement;
use hearth_confine::{Limits, Work, enclose, forbid_new_code};

const LIMITS: Limits =
    Limits { address_space_bytes: 1 << 30, data_bytes: 256 << 20, cpu_secs: None };

/// Counts on, as a runner's clock does.
static TICKS: AtomicU32 = AtomicU32::new(0);

/// Shuts this process in as far as `stage` says, makes the attempt, and says how it went. What kills says nothing.
pub(crate) fn attempt(stage: &str, name: &str) {
    // Something to make executable, from before.
    let page = map(libc::PROT_READ | libc::PROT_WRITE);
    let parent = c_long::from(unsafe { libc::getppid() });
    let confinement = shut_in(stage);
    let outcome = match name {
        "report" => return say(&format!("{confinement:?}")),
        "honest-work" => honest_work(),
        "abort" => std::process::abort(),
        "too-much-memory" => answer(map_bytes(512 << 20, libc::PROT_READ | libc::PROT_WRITE)),
        "map-executable" => answer(map(libc::PROT_READ | libc::PROT_EXEC)),
        "make-executable" => syscall(libc::SYS_mprotect, [page, 4096, RX, 0, 0, 0]),
        "make-executable-by-key" => syscall(libc::SYS_pkey_mprotect, [page, 4096, RX, -1, 0, 0]),
        "thread" => thread::Builder::new().spawn(|| ()).map(|_| 0),
        "has-inherited" => (3..64).map(has_descriptor).find(Result::is_ok).unwrap_or(missing()),
        "connect-inet" => connect_inet(),
        #[cfg(target_arch = "x86_64")]
        "call-of-32-bit" => call_of_32_bit(),
        _ => raw(name, parent),
    };
    match outcome {
        Ok(_) => say("works"),
        Err(error) => say(&format!("refused {}", error.raw_os_error().unwrap_or(0))),
    }
}

const RX: c_long = (libc::PROT_READ | libc::PROT_EXEC) as c_long;

fn shut_in(stage: &str) -> Confinement {
    if stage == "none" {
        return Confinement::default();
    }
    let enclosed = enclose(LIMITS);
    if stage == "enclosed" {
        // Room for one descriptor, so that it is not the limit that refuses.
        unsafe { libc::close(0) };
        return Confinement::default();
    }
    thread::spawn(|| {
        loop {
            TICKS.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(1));
        }
    });
    // A thread that is still being set up makes calls of its own.
    while TICKS.load(Ordering::Relaxed) == 0 {
        thread::yield_now();
    }
    let work = if stage == "compiler" { Work::Compile } else { Work::Run };
    let confinement = enclosed.seal(work);
    if stage == "sealed" {
        assert!(forbid_new_code());
    }
    confinement
}

fn say(words: &str) {
    let mut out = io::stdout();
    out.write_all(words.as_bytes()).and_then(|()| out.flush()).ok();
    std::process::exit(0);
}

/// What runner and compiler do all day.
fn honest_work() -> io::Result<c_long> {
    let mut words = [0; 4];
    io::stdin().read_exact(&mut words)?;
    assert_eq!(&words, b"ping");
    let many: HashMap<u64, Vec<u8>> = (0..100).map(|n| (n, vec![1; 1 << 20])).collect();
    assert_eq!(many.values().map(Vec::len).sum::<usize>(), 100 << 20);
    drop(many);
    let (before, start) = (TICKS.load(Ordering::Relaxed), Instant::now());
    while TICKS.load(Ordering::Relaxed) < before + 3 {
        thread::yield_now();
        assert!(start.elapsed() < Duration::from_secs(60), "the clock's thread has stopped");
    }
    io::stderr().write_all(b"")?;
    Ok(0)
}

fn map(rights: i32) -> c_long {
    map_bytes(4096, rights)
}

fn map_bytes(bytes: usize, rights: i32) -> c_long {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    unsafe { libc::mmap(ptr::null_mut(), bytes, rights, flags, -1, 0) as c_long }
}

fn answer(code: c_long) -> io::Result<c_long> {
    if code == -1 { Err(io::Error::last_os_error()) } else { Ok(code) }
}

fn syscall(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> io::Result<c_long> {
    answer(unsafe { libc::syscall(number, a, b, c, d, e, f) })
}

fn has_descriptor(descriptor: c_long) -> io::Result<c_long> {
    syscall(libc::SYS_fcntl, [descriptor, c_long::from(libc::F_GETFD), 0, 0, 0, 0])
}

fn missing() -> io::Result<c_long> {
    Err(io::Error::from_raw_os_error(libc::EBADF))
}

/// To the port nobody listens on: not even that is told.
fn connect_inet() -> io::Result<c_long> {
    std::net::TcpStream::connect(("127.0.0.1", 9)).map(|_| 0)
}

/// `getpid` by the door of 32-bit programs, where numbers mean other calls.
#[cfg(target_arch = "x86_64")]
fn call_of_32_bit() -> io::Result<c_long> {
    let answer: c_long;
    unsafe { std::arch::asm!("int 0x80", inout("rax") 20 as c_long => answer) };
    Ok(answer)
}

/// Attempts that are one system call, most with arguments that would do harm.
fn raw(name: &str, parent: c_long) -> io::Result<c_long> {
    let path = |text: &'static std::ffi::CStr| text.as_ptr() as c_long;
    let here = c_long::from(libc::AT_FDCWD);
    let memory = format!("/proc/{parent}/mem\0");
    let mut secret = [0u8; 16];
    let own = libc::iovec { iov_base: secret.as_mut_ptr().cast::<c_void>(), iov_len: 16 };
    let theirs = libc::iovec { iov_base: 0x40_0000 as *mut c_void, iov_len: 16 };
    let (own, theirs) = (&raw const own as c_long, &raw const theirs as c_long);
    let none: [*const libc::c_char; 1] = [ptr::null()];
    let none = none.as_ptr() as c_long;
    let flags = c_long::from(libc::O_CREAT | libc::O_WRONLY);
    let (program, root) = (path(c"/bin/true"), path(c"/"));
    let (number, arguments) = match name {
        "open-file" => (libc::SYS_openat, [here, path(c"/etc/passwd"), 0, 0, 0, 0]),
        "create-file" => {
            (libc::SYS_openat, [here, path(c"/tmp/hearth-escaped"), flags, 0o600, 0, 0])
        }
        "own-environment" => (libc::SYS_openat, [here, path(c"/proc/self/environ"), 0, 0, 0, 0]),
        "parent-memory-file" => (libc::SYS_openat, [here, memory.as_ptr() as c_long, 0, 0, 0, 0]),
        "parent-memory" => (libc::SYS_process_vm_readv, [parent, own, 1, theirs, 1, 0]),
        "write-parent-memory" => (libc::SYS_process_vm_writev, [parent, own, 1, theirs, 1, 0]),
        "socket-inet" => {
            (libc::SYS_socket, [libc::AF_INET.into(), libc::SOCK_STREAM.into(), 0, 0, 0, 0])
        }
        "socket-unix" => {
            (libc::SYS_socket, [libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0, 0, 0, 0])
        }
        "socketpair" => {
            (libc::SYS_socketpair, [libc::AF_UNIX.into(), libc::SOCK_STREAM.into(), 0, own, 0, 0])
        }
        "connect" => (libc::SYS_connect, [0, own, 16, 0, 0, 0]),
        "sendto" => (libc::SYS_sendto, [1, own, 16, 0, 0, 0]),
        "exec" => (libc::SYS_execve, [program, none, none, 0, 0, 0]),
        "exec-at" => (libc::SYS_execveat, [here, program, none, none, 0, 0]),
        "fork" => (libc::SYS_clone, [libc::SIGCHLD.into(), 0, 0, 0, 0, 0]),
        "vfork" => (libc::SYS_clone, [(libc::SIGCHLD | libc::CLONE_VFORK).into(), 0, 0, 0, 0, 0]),
        "ptrace-parent" => (libc::SYS_ptrace, [libc::PTRACE_ATTACH.into(), parent, 0, 0, 0, 0]),
        "ptrace-me" => (libc::SYS_ptrace, [libc::PTRACE_TRACEME.into(), 0, 0, 0, 0, 0]),
        "kill-parent" => (libc::SYS_kill, [parent, 0, 0, 0, 0, 0]),
        "kill-everybody" => (libc::SYS_kill, [-1, 0, 0, 0, 0, 0]),
        "signal-another-thread" => (libc::SYS_tgkill, [1, 1, 0, 0, 0, 0]),
        "pidfd-of-parent" => (libc::SYS_pidfd_open, [parent, 0, 0, 0, 0, 0]),
        "file-of-parent" => (libc::SYS_pidfd_getfd, [0, 0, 0, 0, 0, 0]),
        "file-by-handle" => (libc::SYS_open_by_handle_at, [here, own, 0, 0, 0, 0]),
        "memory-file" => (libc::SYS_memfd_create, [path(c"x"), 0, 0, 0, 0, 0]),
        "io-uring" => (libc::SYS_io_uring_setup, [1, own, 0, 0, 0, 0]),
        "bpf" => (libc::SYS_bpf, [0, own, 16, 0, 0, 0]),
        "userfaultfd" => (libc::SYS_userfaultfd, [0; 6]),
        "perf-event" => (libc::SYS_perf_event_open, [own, 0, -1, -1, 0, 0]),
        "mount" => (libc::SYS_mount, [root, root, root, 0, 0, 0]),
        "unshare" => (libc::SYS_unshare, [libc::CLONE_NEWUSER.into(), 0, 0, 0, 0, 0]),
        "enter-namespace" => (libc::SYS_setns, [0; 6]),
        "keyring" => (libc::SYS_keyctl, [0; 6]),
        "shared-memory" => (libc::SYS_shmget, [0, 4096, 0o1600, 0, 0, 0]),
        "message-queue" => (libc::SYS_mq_open, [path(c"/x"), flags, 0o600, 0, 0, 0]),
        "pipe" => (libc::SYS_pipe2, [own, 0, 0, 0, 0, 0]),
        "duplicate" => (libc::SYS_dup, [0; 6]),
        "event-descriptor" => (libc::SYS_eventfd2, [0; 6]),
        "watch-files" => (libc::SYS_inotify_init1, [0; 6]),
        "change-root" => (libc::SYS_chroot, [root, 0, 0, 0, 0, 0]),
        "change-user" => (libc::SYS_setuid, [0; 6]),
        "remove-file" => (libc::SYS_unlinkat, [here, path(c"/tmp/hearth-escaped"), 0, 0, 0, 0]),
        "rename-file" => (libc::SYS_renameat2, [here, root, here, root, 0, 0]),
        "list-folder" => (libc::SYS_getdents64, [0, own, 16, 0, 0, 0]),
        "load-module" => (libc::SYS_finit_module, [0; 6]),
        "read-stdout" => (libc::SYS_read, [1, own, 1, 0, 0, 0]),
        "read-fourth" => (libc::SYS_read, [3, own, 1, 0, 0, 0]),
        "write-fourth" => (libc::SYS_write, [3, own, 1, 0, 0, 0]),
        "dumpable-again" => (libc::SYS_prctl, [libc::PR_SET_DUMPABLE.into(), 1, 0, 0, 0, 0]),
        "lift-limits" => (libc::SYS_prlimit64, [0, libc::RLIMIT_NOFILE.into(), own, 0, 0, 0]),
        "loosen-filter" => (libc::SYS_prctl, [libc::PR_SET_SECCOMP.into(), 0, 0, 0, 0, 0]),
        "another-filter" => (libc::SYS_seccomp, [0; 6]),
        // `getpid` under the numbers of the x32 interface.
        "call-of-x32" => (libc::SYS_getpid | 0x4000_0000, [0; 6]),
        unknown => return Err(io::Error::other(unknown.to_owned())),
    };
    syscall(number, arguments)
}
