use super::*;
use half::f16;

/// One head of one position within a page.
#[derive(Clone, Copy)]
struct Place {
    layer: usize,
    head: usize,
    slot: usize,
}

const FORMATS: [KvFormat; 3] = [KvFormat::F32, KvFormat::F16, KvFormat::Q8];

fn layout(format: KvFormat) -> KvLayout {
    KvLayout { layers: 2, kv_heads: 3, head_dim: 10, format }
}

fn row(position: usize) -> Vec<f32> {
    (0..30).map(|i| ((position * 31 + i * 7) % 19) as f32 - 9.0).collect()
}

fn filled(format: KvFormat, tokens: usize) -> Sequence {
    let mut sequence = Sequence::new(&layout(format));
    sequence.reserve(tokens);
    for layer in 0..2 {
        let rows: Vec<f32> = (0..tokens).flat_map(|p| row(p + layer * 100)).collect();
        let values: Vec<f32> = rows.iter().map(|x| -x).collect();
        sequence.write(layer, 0, &rows, &values);
    }
    sequence.advance(tokens);
    sequence
}

/// One key and value as stored, widened.
fn read(sequence: &Sequence, layer: usize, head: usize, position: usize) -> (Vec<f32>, Vec<f32>) {
    fn cells<C: Cell>(page: &Page, place: Place, wide: impl Fn(C) -> f32) -> (Vec<f32>, Vec<f32>) {
        let Place { layer, head, slot } = place;
        let (block, lane) = (slot / KEY_LANES, slot % KEY_LANES);
        let keys = page.keys::<C>(layer, head);
        let values = page.values::<C>(layer, head);
        let key = (0..10).map(|d| wide(keys[(block * 10 + d) * KEY_LANES + lane])).collect();
        (key, (0..10).map(|d| wide(values[slot * 16 + d])).collect())
    }
    let page = &sequence.pages()[position / PAGE_TOKENS];
    let place = Place { layer, head, slot: position % PAGE_TOKENS };
    match sequence.layout().format {
        KvFormat::F32 => cells(page, place, |x: f32| x),
        KvFormat::F16 => cells(page, place, |x: f16| x.to_f32()),
        KvFormat::Q8 => {
            let (mut key, mut value) = cells(page, place, |x: i8| f32::from(x));
            let scales = page.scales(layer, head);
            key.iter_mut().for_each(|x| *x *= scales[place.slot]);
            value.iter_mut().for_each(|x| *x *= scales[PAGE_TOKENS + place.slot]);
            (key, value)
        }
    }
}

#[test]
fn what_is_written_is_read() {
    for format in FORMATS {
        let sequence = filled(format, 70);
        assert_eq!((sequence.tokens(), sequence.capacity(), sequence.pages().len()), (70, 96, 3));
        for (layer, head, position) in [(0, 0, 0), (1, 2, 69), (0, 1, 31), (1, 0, 32), (1, 1, 47)] {
            let (key, value) = read(&sequence, layer, head, position);
            let expected = &row(position + layer * 100)[head * 10..head * 10 + 10];
            let tolerance = if format == KvFormat::Q8 { 9.0 / 127.0 / 2.0 } else { 0.0 };
            for d in 0..10 {
                assert!((key[d] - expected[d]).abs() <= tolerance, "{format:?} {position}");
                assert!((value[d] + expected[d]).abs() <= tolerance, "{format:?} {position}");
            }
        }
    }
}

#[test]
fn the_bytes_of_a_page_are_those_of_its_numbers() {
    let layout =
        |head_dim, format| KvLayout { layers: 16, kv_heads: 8, head_dim, format }.page_bytes();
    assert_eq!(layout(64, KvFormat::F32), 16 * 8 * 32 * 2 * 64 * 4);
    assert_eq!(layout(64, KvFormat::F16), 16 * 8 * 32 * 2 * 64 * 2);
    assert_eq!(layout(64, KvFormat::Q8), 16 * 8 * 32 * 2 * (64 + 4));
    // Rows of values are padded to sixteen.
    assert_eq!(layout(72, KvFormat::F16), 16 * 8 * 32 * (72 + 80) * 2);
}

#[test]
fn numbers_out_of_range_are_cut_to_it() {
    for (format, largest) in [
        (KvFormat::F32, f32::MAX),
        (KvFormat::F16, 65_504.0),
        (KvFormat::Q8, f32::MAX / 128.0 * 127.0),
    ] {
        let mut sequence = Sequence::new(&layout(format));
        sequence.reserve(1);
        let mut k = vec![0.0; 30];
        (k[0], k[1], k[2]) = (f32::INFINITY, f32::NEG_INFINITY, 1.0);
        sequence.write(1, 0, &k, &k);
        let (key, value) = read(&sequence, 1, 0, 0);
        assert!((key[0] / largest - 1.0).abs() < 1e-6 && key[1] == -key[0], "{format:?} {key:?}");
        assert_eq!(key, value);
        // A head of zeros stays one.
        assert_eq!(read(&sequence, 1, 1, 0).0, [0.0; 10]);
    }
}

#[test]
fn a_shared_page_is_copied_before_it_is_written() {
    for format in FORMATS {
        let first = filled(format, 40);
        let mut second = first.clone();
        second.truncate(37);
        second.reserve(1);
        assert!(Arc::ptr_eq(&first.pages()[0], &second.pages()[0]), "a full page stays shared");
        assert!(!Arc::ptr_eq(&first.pages()[1], &second.pages()[1]));
        second.write(0, 37, &row(900), &row(901));
        assert_eq!(read(&first, 0, 1, 37), read(&filled(format, 40), 0, 1, 37));
        assert_ne!(read(&second, 0, 1, 37), read(&first, 0, 1, 37));
        assert_eq!(read(&second, 1, 2, 36), read(&first, 1, 2, 36));

        // Also where it came to be shared after it was reserved.
        let third = second.clone();
        second.write(0, 37, &row(902), &row(903));
        assert_ne!(read(&second, 0, 1, 37), read(&third, 0, 1, 37));
    }
}

#[test]
fn an_unshared_page_is_not_copied() {
    let mut sequence = filled(KvFormat::F16, 40);
    let before = Arc::as_ptr(&sequence.pages()[1]);
    sequence.reserve(20);
    sequence.write(0, 40, &row(1), &row(2));
    assert_eq!(Arc::as_ptr(&sequence.pages()[1]), before);
}

#[test]
fn a_shared_prefix_is_of_as_many_pages_as_it_needs_of_the_same_layout() {
    let first = filled(KvFormat::F16, 70);
    let layout = *first.layout();
    let pages = first.pages()[..2].to_vec();
    let second = Sequence::from_pages(&layout, pages.clone(), 64).unwrap();
    assert_eq!(second.tokens(), 64);
    assert_eq!(read(&second, 1, 2, 63), read(&first, 1, 2, 63));
    let mut within = Sequence::from_pages(&layout, pages.clone(), 50).unwrap();
    assert_eq!(within.tokens(), 50);
    within.reserve(1);
    within.write(1, 50, &row(1), &row(2));
    assert_ne!(read(&within, 1, 2, 50), read(&first, 1, 2, 50));
    assert_eq!(read(&within, 1, 2, 49), read(&first, 1, 2, 49));
    assert_eq!(read(&second, 1, 2, 50), read(&first, 1, 2, 50));
    assert!(Sequence::from_pages(&layout, pages.clone(), 32).is_none());
    assert!(Sequence::from_pages(&layout, pages.clone(), 65).is_none());
    let other = KvLayout { head_dim: 12, ..layout };
    assert!(Sequence::from_pages(&other, pages, 64).is_none());
    assert_eq!(Sequence::from_pages(&other, Vec::new(), 0).unwrap().tokens(), 0);
}

#[test]
fn truncating_frees_pages_and_never_lengthens() {
    let mut sequence = filled(KvFormat::Q8, 70);
    sequence.truncate(100);
    assert_eq!((sequence.tokens(), sequence.pages().len()), (70, 3));
    sequence.truncate(64);
    assert_eq!((sequence.tokens(), sequence.pages().len()), (64, 2));
    sequence.truncate(33);
    assert_eq!((sequence.tokens(), sequence.pages().len()), (33, 2));
    sequence.truncate(0);
    assert_eq!((sequence.tokens(), sequence.pages().len()), (0, 0));
}

#[test]
fn writing_beyond_the_pages_is_refused() {
    let refused = |layer, position, len| {
        std::panic::catch_unwind(move || {
            let mut sequence = filled(KvFormat::F32, 5);
            sequence.write(layer, position, &vec![0.0; len], &vec![0.0; len]);
        })
        .is_err()
    };
    assert!(!refused(1, 31, 30));
    assert!(refused(1, 31, 60));
    assert!(refused(2, 0, 30));
    assert!(refused(0, 0, 31));
    let advanced = std::panic::catch_unwind(|| filled(KvFormat::F32, 5).advance(28));
    assert!(advanced.is_err());
}

#[test]
fn every_instruction_set_stores_the_same_bytes() {
    let noise = |i: usize| ((i * 7_919) % 1_009) as f32 * 1.37e-3 * ((i % 23) as f32 - 11.0);
    for format in FORMATS {
        let layout = KvLayout { head_dim: 38, ..layout(format) };
        let k: Vec<f32> = (0..3 * 38).map(noise).collect();
        let v: Vec<f32> = (500..500 + 3 * 38).map(noise).collect();
        let stored = |isa| {
            let mut page = Page::new(&layout);
            dispatch(isa, Store { page: &mut page, layer: 1, slot: 21, k: &k, v: &v });
            page.bytes()
        };
        for isa in Isa::available() {
            assert!(stored(isa) == stored(Isa::Portable), "{isa:?} {format:?}");
        }
    }
}
