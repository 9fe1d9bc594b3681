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
    children: HashMap<(PageId, Box<[u32]>), PageId>,
    kept: HashMap<PageId, Kept<P>>,
    next_id: PageId,
    clock: u64,
}

struct Kept<P> {
    page: Arc<P>,
    parent: PageId,
    tokens: Box<[u32]>,
    children: usize,
    used: u64,
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

    /// The kept pages that `ids` begin with.
    pub(super) fn find(&mut self, key: &str, ids: &[u32]) -> Vec<Arc<P>> {
        self.clock += 1;
        let mut pages = Vec::new();
        let Some(&root) = self.roots.get(key) else { return pages };
        let mut at = root;
        for tokens in ids.chunks_exact(PAGE_TOKENS) {
            let Some(&next) = self.children.get(&(at, Box::from(tokens))) else { break };
            let Some(kept) = self.kept.get_mut(&next) else { break };
            kept.used = self.clock;
            pages.push(Arc::clone(&kept.page));
            at = next;
        }
        pages
    }

    /// Keeps the pages of `ids`, as far as they are not yet kept. Gives how many that were.
    /// They are those of a sequence that had room taken for them.
    pub(super) fn keep(
        &mut self,
        key: &Arc<str>,
        ids: &[u32],
        page: impl Fn(usize) -> Option<Arc<P>>,
    ) -> usize {
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
        for (index, tokens) in ids.chunks_exact(PAGE_TOKENS).enumerate() {
            let place = (at, Box::from(tokens));
            at = match self.children.get(&place) {
                Some(&next) => {
                    if let Some(kept) = self.kept.get_mut(&next) {
                        kept.used = self.clock;
                    }
                    next
                }
                None => {
                    let Some(page) = page(index) else { break };
                    added += 1;
                    self.add(place, page)
                }
            };
        }
        self.taken_pages = self.taken_pages.saturating_sub(added);
        added
    }

    fn add(&mut self, (parent, tokens): (PageId, Box<[u32]>), page: Arc<P>) -> PageId {
        let id = self.fresh_id();
        if let Some(parent) = self.kept.get_mut(&parent) {
            parent.children += 1;
        }
        self.children.insert((parent, tokens.clone()), id);
        self.kept.insert(id, Kept { page, parent, tokens, children: 0, used: self.clock });
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
        let idle = self
            .kept
            .iter()
            .filter(|(_, kept)| kept.children == 0 && Arc::strong_count(&kept.page) == 1);
        let Some((&id, _)) = idle.min_by_key(|(id, kept)| (kept.used, std::cmp::Reverse(**id)))
        else {
            return false;
        };
        let Some(kept) = self.kept.remove(&id) else { return false };
        self.children.remove(&(kept.parent, kept.tokens));
        if let Some(parent) = self.kept.get_mut(&kept.parent) {
            parent.children -= 1;
        } else if !self.children.keys().any(|(parent, _)| *parent == kept.parent) {
            // The last page of its key.
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
        pool.find(key, ids).iter().map(|page| **page).collect()
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
        // A page that is not full is not looked for.
        assert_eq!(found(&mut pool, "a", &ids(&[1, 2])[..63]), first[..1]);
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
