//! Memory for keys and values, and the pages that are kept for later requests.
//!
//! Kept pages form a tree for each key: a page hangs below the page of the tokens before it, and is found by its own
//! tokens, which are compared one by one. So a page serves exactly those prompts of its key that begin with the
//! tokens it was computed from.

use std::{collections::HashMap, sync::Arc};

use super::forward::PAGE_TOKENS;

/// Names a page, or the root of a key's pages. Never used twice.
type PageId = u64;

/// Counts pages, and keeps some.
///
/// A page is counted once: by the sequence that has room for it until it is kept, from then on by the pool.
pub(super) struct Pool<P> {
    limit_pages: usize,
    /// Pages that sequences have room for, without those that are kept.
    taken_pages: usize,
    roots: HashMap<Arc<str>, PageId>,
    /// By the page they hang below, then by their tokens.
    children: HashMap<PageId, HashMap<Box<[u32]>, PageId>>,
    kept: HashMap<PageId, Kept<P>>,
    next_id: PageId,
    clock: u64,
}

struct Kept<P> {
    page: Arc<P>,
    parent: PageId,
    /// Those it serves for: fewer than it could hold where what is shared ends there.
    tokens: Box<[u32]>,
    used: u64,
}

/// What is kept of the tokens asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<P> {
    pub(super) pages: Vec<Arc<P>>,
    /// How many tokens, from the first on. Of the last page they may be but some.
    pub(super) tokens: usize,
}

impl<P> Default for Found<P> {
    fn default() -> Self {
        Self { pages: Vec::new(), tokens: 0 }
    }
}

impl<P> Pool<P> {
    pub(super) fn new(limit_pages: usize) -> Self {
        Self {
            limit_pages,
            taken_pages: 0,
            roots: HashMap::new(),
            children: HashMap::new(),
            kept: HashMap::new(),
            next_id: 0,
            clock: 0,
        }
    }

    pub(super) const fn limit_pages(&self) -> usize {
        self.limit_pages
    }

    /// Pages in memory, or promised.
    pub(super) fn pages(&self) -> usize {
        self.taken_pages + self.kept.len()
    }

    /// The kept pages that `ids` begin with; the last one may be another's that has but its first tokens in common.
    pub(super) fn find(&mut self, key: &str, ids: &[u32]) -> Found<P> {
        self.clock += 1;
        let mut found = Found::default();
        let Some(&root) = self.roots.get(key) else { return found };
        let mut at = root;
        while let Some((next, tokens)) = self.best_child(at, &ids[found.tokens..]) {
            let Some(kept) = self.kept.get_mut(&next) else { break };
            kept.used = self.clock;
            found.pages.push(Arc::clone(&kept.page));
            found.tokens += tokens;
            if tokens < PAGE_TOKENS {
                break;
            }
            at = next;
        }
        found
    }

    /// The page below another that has the most tokens in common with the first of `ids`, and how many.
    fn best_child(&self, parent: PageId, ids: &[u32]) -> Option<(PageId, usize)> {
        let children = self.children.get(&parent)?;
        if let Some(&child) = ids.get(..PAGE_TOKENS).and_then(|whole| children.get(whole)) {
            return Some((child, PAGE_TOKENS));
        }
        let common = |tokens: &[u32]| tokens.iter().zip(ids).take_while(|(a, b)| a == b).count();
        let counted = children.iter().map(|(tokens, &child)| (child, common(tokens)));
        // Of equals the oldest, so that it does not depend on how the table lies in memory.
        counted
            .filter(|&(_, tokens)| tokens > 0)
            .max_by_key(|&(child, tokens)| (tokens, std::cmp::Reverse(child)))
    }

    /// Keeps the pages of `ids`, as far as they are not yet kept. Gives how many the pool has taken over: those of a
    /// sequence that had room taken for them. A last page that is not full is kept beside the sequence's own, which goes
    /// on with a copy, if there is room for one more.
    pub(super) fn keep(
        &mut self,
        key: &Arc<str>,
        ids: &[u32],
        page: impl Fn(usize) -> Option<Arc<P>>,
    ) -> usize {
        let room_beside = !ids.len().is_multiple_of(PAGE_TOKENS) && self.take(1);
        self.clock += 1;
        let mut at = match self.roots.get(key) {
            Some(root) => *root,
            None => {
                let root = self.fresh_id();
                self.roots.insert(Arc::clone(key), root);
                root
            }
        };
        let mut added = 0;
        for (index, tokens) in ids.chunks(PAGE_TOKENS).enumerate() {
            let known = self.children.get(&at).and_then(|children| children.get(tokens)).copied();
            at = match known {
                Some(next) => {
                    if let Some(kept) = self.kept.get_mut(&next) {
                        kept.used = self.clock;
                    }
                    next
                }
                None => {
                    let is_full = tokens.len() == PAGE_TOKENS;
                    let page = if is_full || room_beside { page(index) } else { None };
                    let Some(page) = page else { break };
                    added += usize::from(is_full);
                    self.add(at, tokens, page)
                }
            };
        }
        // The page beside counts among the kept ones now, or is not needed.
        self.give(added + usize::from(room_beside));
        added
    }

    fn add(&mut self, parent: PageId, tokens: &[u32], page: Arc<P>) -> PageId {
        let id = self.fresh_id();
        self.children.entry(parent).or_default().insert(tokens.into(), id);
        self.kept.insert(id, Kept { page, parent, tokens: tokens.into(), used: self.clock });
        id
    }

    fn fresh_id(&mut self) -> PageId {
        self.next_id += 1;
        self.next_id
    }

    /// Takes room for `pages`, for which kept pages that nobody uses may have to go, those unused longest first.
    pub(super) fn take(&mut self, pages: usize) -> bool {
        while self.pages().saturating_add(pages) > self.limit_pages {
            if !self.drop_oldest() {
                return false;
            }
        }
        self.taken_pages += pages;
        true
    }

    /// Gives room back.
    pub(super) fn give(&mut self, pages: usize) {
        self.taken_pages = self.taken_pages.saturating_sub(pages);
    }

    fn drop_oldest(&mut self) -> bool {
        // What is below a page is of no use without it, so the last go first.
        let idle = self.kept.iter().filter(|(id, kept)| {
            !self.children.contains_key(id) && Arc::strong_count(&kept.page) == 1
        });
        let Some((&id, _)) = idle.min_by_key(|(id, kept)| (kept.used, std::cmp::Reverse(**id)))
        else {
            return false;
        };
        let Some(kept) = self.kept.remove(&id) else { return false };
        let Some(siblings) = self.children.get_mut(&kept.parent) else { return false };
        siblings.remove(&kept.tokens);
        if siblings.is_empty() {
            self.children.remove(&kept.parent);
            // It may have been the last page of its key.
            self.roots.retain(|_, root| *root != kept.parent);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Arc<str> {
        name.into()
    }

    fn ids(pages: &[u32]) -> Vec<u32> {
        pages
            .iter()
            .flat_map(|&page| (0..PAGE_TOKENS as u32).map(move |i| page * 100 + i))
            .collect()
    }

    /// Pages that tell their number and who made them.
    fn made(
        by: &'static str,
        pages: usize,
    ) -> impl Fn(usize) -> Option<Arc<(usize, &'static str)>> {
        let made: Vec<_> = (0..pages).map(|index| Arc::new((index, by))).collect();
        move |index| made.get(index).cloned()
    }

    fn found(
        pool: &mut Pool<(usize, &'static str)>,
        key: &str,
        ids: &[u32],
    ) -> Vec<(usize, &'static str)> {
        pool.find(key, ids).pages.iter().map(|page| **page).collect()
    }

    #[test]
    fn only_the_same_tokens_of_the_same_key_are_found() {
        let mut pool = Pool::new(100);
        assert!(pool.take(6));
        assert_eq!(pool.keep(&key("a"), &ids(&[1, 2, 3]), made("first", 3)), 3);
        assert_eq!(pool.keep(&key("a"), &ids(&[1, 2, 4]), made("second", 3)), 1);
        assert_eq!(pool.keep(&key("b"), &ids(&[1, 2]), made("third", 2)), 2);
        assert_eq!(pool.pages(), 6);
        let first = [(0, "first"), (1, "first")];
        assert_eq!(found(&mut pool, "a", &ids(&[1, 2, 5])), first);
        assert_eq!(found(&mut pool, "a", &ids(&[1, 2, 4])), [first[0], first[1], (2, "second")]);
        assert!(found(&mut pool, "a", &ids(&[2, 3])).is_empty());
        assert_eq!(found(&mut pool, "b", &ids(&[1, 2, 3])), [(0, "third"), (1, "third")]);
        assert!(found(&mut pool, "c", &ids(&[1, 2, 3])).is_empty());
    }

    #[test]
    fn of_a_page_the_first_tokens_alone_may_serve() {
        let mut pool = Pool::new(100);
        assert!(pool.take(3));
        pool.keep(&key("a"), &ids(&[1, 2]), made("first", 2));
        let mut other = ids(&[1, 2]);
        other[50] = 7;
        assert_eq!(pool.keep(&key("a"), &other, made("second", 2)), 1);
        let mut tokens = |ids: &[u32]| {
            let found = pool.find("a", ids);
            (found.tokens, found.pages.last().map(|page| **page))
        };
        assert_eq!(tokens(&other[..60]), (60, Some((1, "second"))));
        assert_eq!(tokens(&other[..50]), (50, Some((1, "first"))));
        other[52] = 7;
        assert_eq!(tokens(&other), (52, Some((1, "second"))));
        other[32] = 7;
        assert_eq!(tokens(&other), (32, Some((0, "first"))));
        other[0] = 7;
        assert_eq!(tokens(&other), (0, None));
    }

    #[test]
    fn a_page_that_is_not_full_is_kept_beside_the_sequences_own() {
        let mut pool = Pool::new(3);
        assert!(pool.take(2));
        let head = ids(&[1, 2])[..40].to_vec();
        assert_eq!(pool.keep(&key("a"), &head, made("a", 2)), 1);
        // Two are kept, and one is still the sequence's.
        assert_eq!((pool.pages(), pool.kept.len()), (3, 2));
        assert_eq!(pool.find("a", &ids(&[1, 2])).tokens, 40);
        // It is kept but once.
        assert_eq!(pool.keep(&key("a"), &head, made("b", 2)), 0);
        pool.give(1);
        assert_eq!(pool.pages(), 2);
        assert!(pool.take(3) && pool.kept.is_empty());
        // Where there is no room for one more it is not kept.
        assert_eq!(pool.keep(&key("a"), &head, made("a", 2)), 1);
        assert_eq!((pool.pages(), pool.kept.len()), (3, 1));
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_last_pages_before_what_they_follow() {
        let mut pool = Pool::new(4);
        assert!(pool.take(4));
        pool.keep(&key("a"), &ids(&[1, 2]), made("a", 2));
        pool.keep(&key("b"), &ids(&[1, 2]), made("b", 2));
        found(&mut pool, "a", &ids(&[1]));
        assert!(pool.take(1));
        assert_eq!(found(&mut pool, "a", &ids(&[1, 2])).len(), 1);
        assert!(pool.take(2));
        assert_eq!((found(&mut pool, "b", &ids(&[1, 2])).len(), pool.roots.len()), (0, 1));
        assert_eq!(pool.pages(), 4);
        assert!(pool.take(1) && !pool.take(1));
        assert!(pool.roots.is_empty() && pool.children.is_empty() && pool.kept.is_empty());
        pool.give(4);
        assert_eq!(pool.pages(), 0);
    }

    #[test]
    fn what_is_in_use_stays() {
        let mut pool = Pool::new(2);
        assert!(pool.take(2));
        pool.keep(&key("a"), &ids(&[1, 2]), made("a", 2));
        let held = pool.find("a", &ids(&[1, 2]));
        assert!(!pool.take(1));
        drop(held);
        assert!(pool.take(1));
    }
}
