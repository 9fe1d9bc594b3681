//! How fast products are: bytes of weights a second beside the bandwidth of memory, and multiplications beside the most that
//! this processor's integer dot products do. All in one run, the best of several rounds each. With one thread, time is what
//! the processor spent on it, where Linux tells, so that others' work does not count.
//!
//! `cargo run --release -p hearth-engine-kernels --example products -- [threads] [formats...]`
#![expect(clippy::print_stdout, reason = "its table is what it is for")]
use hearth_engine_kernels::{
    Activations, Bytes, Format, Forms, Isa, Matrix, Product, Team, matmul,
};
use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// More than any cache holds.
const READ_BYTES: usize = 192 << 20;
const ROUNDS: usize = 5;

static THREADS: OnceLock<usize> = OnceLock::new();

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let threads = arguments.next().map_or(Ok(2), |threads| threads.parse())?;
    let named: Vec<String> = arguments.collect();
    let team = Team::new(*THREADS.get_or_init(|| threads))?;
    let read = bandwidth(&team);
    let peak = peak(&team);
    println!(
        "{threads} threads, {:?}; memory {read:.1} GB/s; dot products {peak:.0} GMAC/s",
        Isa::detect()
    );
    println!(
        "few tokens: GB/s of weights (share of the bandwidth); 512 tokens: GMAC/s (share of the peak)"
    );
    for format in Format::ALL {
        if named.is_empty() || named.contains(&format!("{format:?}")) {
            let far = few_tokens(&team, format, &FAR, read)?;
            let near = few_tokens(&team, format, &NEAR, read)?;
            let many = many_tokens(&team, format, peak)?;
            println!("{:5} from memory  {far}", format!("{format:?}"));
            println!("{:5} from caches  {near}{many}", "");
        }
    }
    Ok(())
}

/// How many matrices of how many rows are multiplied with, one after the other, how often.
struct Set {
    matrices: usize,
    rows: usize,
    times: usize,
}

/// More than any cache holds, for the widest format and (almost) the narrowest.
const FAR: Set = Set { matrices: 16, rows: 8192, times: 1 };
const NEAR: Set = Set { matrices: 1, rows: 256, times: 50 };

const COLUMNS: usize = 2048;

/// Products of 1, 2, 3, 4, 8 and 16 tokens.
fn few_tokens(
    team: &Team,
    format: Format,
    set: &Set,
    read: f64,
) -> Result<String, Box<dyn std::error::Error>> {
    let bytes = set.rows * format.row_bytes(COLUMNS).ok_or("no whole blocks")?;
    let all = weights(format, set.matrices * bytes);
    let matrices = (0..set.matrices)
        .map(|i| {
            let bytes = all.slice(i * bytes..(i + 1) * bytes).ok_or("beyond the end")?;
            Ok(Matrix::new(bytes, format, set.rows, COLUMNS)?)
        })
        .collect::<Result<Vec<_>, Box<dyn std::error::Error>>>()?;
    let mut line = String::new();
    for tokens in [1, 2, 3, 4, 8, 16] {
        let x = vec![0.5; tokens * COLUMNS];
        let mut activations = Activations::default();
        activations.load(team, &x, COLUMNS, Forms::of(&matrices))?;
        let mut out = vec![0.0; tokens * set.rows];
        let mut failed = None;
        let time = best(|| {
            for matrix in (0..set.times).flat_map(|_| &matrices) {
                let product = Product { matrix, out: &mut out, add: false };
                failed = matmul(team, &activations, &mut [product]).err().or(failed.take());
            }
        });
        failed.map_or(Ok(()), Err)?;
        let rate = (set.times * set.matrices * bytes) as f64 / time.as_secs_f64() / 1e9;
        line += &format!("{tokens}: {rate:4.1} ({:3.0} %)  ", 100.0 * rate / read);
    }
    Ok(line)
}

/// Products of 512 tokens.
fn many_tokens(
    team: &Team,
    format: Format,
    peak: f64,
) -> Result<String, Box<dyn std::error::Error>> {
    let (rows, tokens) = (4096, 512);
    let bytes = rows * format.row_bytes(COLUMNS).ok_or("no whole blocks")?;
    let matrix = Matrix::new(weights(format, bytes), format, rows, COLUMNS)?;
    let mut activations = Activations::default();
    activations.load(team, &vec![0.5; tokens * COLUMNS], COLUMNS, Forms::of([&matrix]))?;
    let mut out = vec![0.0; tokens * rows];
    let mut failed = None;
    let time = best(|| {
        let product = Product { matrix: &matrix, out: &mut out, add: false };
        failed = matmul(team, &activations, &mut [product]).err().or(failed.take());
    });
    failed.map_or(Ok(()), Err)?;
    let rate = (tokens * rows * COLUMNS) as f64 / time.as_secs_f64() / 1e9;
    Ok(format!("512: {rate:4.0} GMAC/s ({:3.0} %)", 100.0 * rate / peak))
}

/// Blocks of the same byte over and over: what they hold makes no difference to the time.
fn weights(format: Format, len: usize) -> Bytes {
    let mut bytes = vec![0x11; len];
    // Tame floats, so that no product is slowed by those that are not numbers.
    if format.block_len() == 1 {
        bytes.fill(0x30);
    }
    Bytes::from_vec(bytes)
}

/// GB/s that the team reads from memory.
fn bandwidth(team: &Team) -> f64 {
    let bytes = vec![1_u8; READ_BYTES];
    let words = bytes.as_chunks::<64>().0;
    let time = best(|| {
        team.chunks(words.len(), 1 << 12, &|range| {
            let mut sums = [0_u64; 8];
            for line in &words[range] {
                for (sum, word) in sums.iter_mut().zip(line.as_chunks::<8>().0) {
                    *sum ^= u64::from_ne_bytes(*word);
                }
            }
            black_box(sums);
        });
    });
    bytes.len() as f64 / time.as_secs_f64() / 1e9
}

/// GMAC/s of dot products of 8-bit integers that wait for nothing.
fn peak(team: &Team) -> f64 {
    const STEPS: usize = 4_000_000;
    let time = best(|| team.run(&|_| dot_products(STEPS)));
    (STEPS * 16 * 64 * team.threads()) as f64 / time.as_secs_f64() / 1e9
}

#[cfg(target_arch = "x86_64")]
fn dot_products(steps: usize) {
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f,avx512vnni")]
    fn with_vnni(steps: usize) {
        let x = black_box(_mm512_set1_epi8(1));
        let mut sums = [_mm512_setzero_si512(); 16];
        for _ in 0..steps {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, x, x);
            }
        }
        black_box(sums);
    }

    if Isa::detect() == Isa::Avx512 {
        #[expect(
            unsafe_code,
            reason = "compiled for an instruction set that not every processor has"
        )]
        // SAFETY: it was looked up just now.
        unsafe {
            with_vnni(steps);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn dot_products(_steps: usize) {}

fn best(mut work: impl FnMut()) -> Duration {
    (0..ROUNDS)
        .map(|_| {
            let (wall, processor) = (Instant::now(), processor_time());
            work();
            match (THREADS.get(), processor, processor_time()) {
                (Some(1), Some(start), Some(end)) => end - start,
                _ => wall.elapsed(),
            }
        })
        .min()
        .unwrap_or_default()
}

/// What this thread has had of a processor.
#[cfg(target_os = "linux")]
fn processor_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.try_into().ok()
}

#[cfg(not(target_os = "linux"))]
fn processor_time() -> Option<Duration> {
    None
}
