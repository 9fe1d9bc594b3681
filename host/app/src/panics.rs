//! What is said of a panic: where, and nothing else. Parsers panic with a quotation of what they could not read, which
//! may be somebody's mail.

use std::{
    panic::{self, PanicHookInfo},
    sync::Once,
};

static ONCE: Once = Once::new();

/// From now on panics, even those that are caught, tell stderr their place alone.
pub fn hush_panics() {
    ONCE.call_once(|| panic::set_hook(Box::new(teller(std::io::stderr))));
}

/// A hook that writes one line. A line that cannot be written is no reason for another panic.
fn teller<W: std::io::Write>(
    out: impl Fn() -> W + Send + Sync + 'static,
) -> impl Fn(&PanicHookInfo<'_>) + Send + Sync + 'static {
    move |info| {
        let place = info.location().map_or("an unknown place".to_owned(), ToString::to_string);
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("unnamed");
        let line = format!("hearth: thread {name} panicked at {place}; its words are withheld\n");
        out().write_all(line.as_bytes()).ok();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_tells_its_place_and_not_its_words() {
        let kept = Kept::default();
        let for_hook = kept.clone();
        let before = panic::take_hook();
        panic::set_hook(Box::new(teller(move || for_hook.clone())));
        let caught = panic::catch_unwind(|| panic!("byte index 7 is out of bounds of `dear Ada`"));
        panic::set_hook(before);
        assert!(caught.is_err());
        let told = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        assert!(told.contains("panics.rs:"), "{told}");
        assert!(!told.contains("Ada") && !told.contains("index"), "{told}");
    }
}
