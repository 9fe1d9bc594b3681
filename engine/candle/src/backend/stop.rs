//! Stop strings, found across the borders of tokens.

use hearth_engine_api::EngineError;

/// Lets text through up to the first stop string, and holds back what may be the beginning of one.
///
/// Of several stop strings the one that is complete first counts, so that it makes no difference in which
/// pieces the text comes.
pub(super) struct StopFilter {
    stops: Vec<String>,
    held: String,
}

/// What a piece of text leads to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Passed {
    /// Text that is certain; it may be empty.
    Text(String),
    /// The rest of the text; a stop string follows it.
    Stop(String),
}

impl StopFilter {
    pub(super) fn new(stops: Vec<String>) -> Result<Self, EngineError> {
        if stops.iter().any(String::is_empty) {
            return Err(EngineError::Invalid { reason: "a stop string is empty".into() });
        }
        Ok(Self { stops, held: String::new() })
    }

    pub(super) fn push(&mut self, text: &str) -> Passed {
        self.held.push_str(text);
        let first = self
            .stops
            .iter()
            .filter_map(|stop| self.held.find(stop).map(|start| (start + stop.len(), start)))
            .min();
        if let Some((_end, start)) = first {
            self.held.truncate(start);
            return Passed::Stop(std::mem::take(&mut self.held));
        }
        let kept = self.held.split_off(self.certain_bytes());
        Passed::Text(std::mem::replace(&mut self.held, kept))
    }

    /// What is held back.
    pub(super) fn held(&self) -> &str {
        &self.held
    }

    /// Where the first possible beginning of a stop string is.
    fn certain_bytes(&self) -> usize {
        let longest = self.stops.iter().map(String::len).max().unwrap_or(0);
        let from = self.held.len().saturating_sub(longest);
        self.held
            .char_indices()
            .map(|(start, _)| start)
            .skip_while(|&start| start < from)
            .find(|&start| self.stops.iter().any(|stop| stop.starts_with(&self.held[start..])))
            .unwrap_or(self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What comes through, and whether a stop string ended it.
    fn run(stops: &[String], pieces: &[String]) -> (String, bool) {
        let mut filter = StopFilter::new(stops.to_vec()).unwrap();
        let mut out = String::new();
        for piece in pieces {
            match filter.push(piece) {
                Passed::Text(text) => out.push_str(&text),
                Passed::Stop(text) => return (out + &text, true),
            }
        }
        (out + filter.held(), false)
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(
            stops in prop::collection::vec("[abü]{1,4}", 0..4),
            pieces in prop::collection::vec("[abü]{0,3}", 0..12),
        ) {
            let whole: String = pieces.concat();
            let one_by_one: Vec<String> = whole.chars().map(String::from).collect();
            let got = run(&stops, &pieces);
            prop_assert_eq!(&got, &run(&stops, &one_by_one));
            prop_assert!(whole.starts_with(&got.0));
            prop_assert!(stops.iter().all(|stop| !got.0.contains(stop.as_str())));
            prop_assert_eq!(got.1, stops.iter().any(|stop| whole.contains(stop.as_str())));
            prop_assert!(got.1 || got.0 == whole);
        }
    }

    #[test]
    fn nothing_is_held_back_without_reason() {
        let mut filter = StopFilter::new(vec!["END".into()]).unwrap();
        assert_eq!(filter.push("so far"), Passed::Text("so far".into()));
        assert_eq!(filter.push(" E"), Passed::Text(" ".into()));
        assert_eq!(filter.push("N"), Passed::Text(String::new()));
        assert_eq!(filter.push("T"), Passed::Text("ENT".into()));
        assert_eq!(filter.push("xEND more"), Passed::Stop("x".into()));
    }

    #[test]
    fn an_empty_stop_string_is_refused() {
        assert!(StopFilter::new(vec![String::new()]).is_err());
    }
}
