use super::*;

/// Blocks and their numbers by an independent implementation; `make_blocks.py` beside it made them.
const BLOCKS: &str = include_str!("../../testdata/blocks.txt");

fn format_named(name: &str) -> Format {
    let name = name.replace("_K", "K");
    *Format::ALL.iter().find(|format| format!("{format:?}") == name).unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[test]
fn blocks_stand_for_the_numbers_another_implementation_says() {
    let mut seen = Vec::new();
    for line in BLOCKS.lines() {
        let [name, block, numbers] = line.split(' ').collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let (format, block) = (format_named(name), hex(block));
        assert_eq!(block.len(), format.block_bytes());
        let expected: Vec<f32> = hex(numbers)
            .as_chunks::<4>()
            .0
            .iter()
            .map(|bytes| f32::from_le_bytes(*bytes))
            .collect();
        assert_eq!(expected.len(), format.block_len());
        let mut got = vec![0.0; expected.len()];
        format.dequantize(&block, &mut got);
        let largest = expected.iter().fold(0.0_f32, |largest, x| largest.max(x.abs()));
        for (i, (got, expected)) in got.iter().zip(&expected).enumerate() {
            assert!((got - expected).abs() <= largest * 1e-6, "{name} {i}: {got} for {expected}");
        }
        seen.push(format);
    }
    seen.dedup();
    let quantised: Vec<_> =
        Format::ALL.into_iter().filter(|format| format.block_len() > 1).collect();
    assert_eq!(seen, quantised);
}

#[test]
fn floats_of_every_width_are_read() {
    let numbers = [1.0_f32, -2.5, 0.0, 1024.0, f32::INFINITY];
    let f32s: Vec<u8> = numbers.iter().flat_map(|x| x.to_le_bytes()).collect();
    let f16s: Vec<u8> = numbers.iter().flat_map(|&x| f16::from_f32(x).to_le_bytes()).collect();
    let bf16s: Vec<u8> = numbers.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect();
    for (format, bytes) in [(Format::F32, f32s), (Format::F16, f16s), (Format::Bf16, bf16s)] {
        let mut got = [0.0; 5];
        format.dequantize(&bytes, &mut got);
        assert_eq!(got, numbers);
    }
}

#[test]
fn rows_are_whole_blocks() {
    assert_eq!(Format::Q4K.row_bytes(2048), Some(8 * 144));
    assert_eq!(Format::Q4K.row_bytes(2048 + 32), None);
    assert_eq!(Format::Q8_0.row_bytes(576), Some(18 * 34));
    assert_eq!(Format::F32.row_bytes(172), Some(688));
    assert_eq!(Format::F32.row_bytes(usize::MAX / 2), None);
}
