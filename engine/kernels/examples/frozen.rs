//! How fast the products of training are: multiply-adds a second beside the most that this processor does of them in registers,
//! in the same run, the best of several rounds each. With one thread, time is what the processor spent on it, where Linux
//! tells, so that others' work does not count.
//!
//! `cargo run --release -p hearth-engine-kernels --example frozen -- [threads] [formats...]`
#![expect(clippy::print_stdout, reason = "its table is what it is for")]
use hearth_engine_kernels::train::{Dense, Frozen, Precision, product};
use hearth_engine_kernels::{
    Bytes, Format, Isa, Matrix, Product, Team, bf16_dot_product_rate, multiply_add_rate,
};
use std::error::Error;
use std::time::{Duration, Instant};

const ROUNDS: usize = 7;

/// Rows and columns of frozen matrices.
const SHAPES: [(usize, usize); 5] =
    [(768, 768), (2048, 2048), (2048, 768), (768, 2048), (50257, 768)];

const FORMATS: [Format; 6] =
    [Format::Bf16, Format::F32, Format::F16, Format::Q4K, Format::Q6K, Format::Q8_0];

/// Tokens, columns and rank of small products.
const RANKS: [(usize, usize, usize); 3] = [(1024, 768, 8), (1024, 2048, 16), (256, 768, 8)];

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let threads = arguments.next().map_or(Ok(2), |threads| threads.parse())?;
    let named: Vec<String> = arguments.collect();
    let team = Team::new(threads)?;
    println!("{threads} threads, {:?}", Isa::detect());
    for precision in [Precision::Bf16, Precision::F32] {
        let peak = peak(precision, &team);
        println!("{precision:?}, at most {:.0} GMAC/s", peak / 1e9);
        for format in FORMATS {
            if named.is_empty() || named.contains(&format!("{format:?}")) {
                for shape in SHAPES {
                    println!("{}", frozen_line(&team, precision, format, shape, peak)?);
                }
            }
        }
    }
    for (tokens, columns, rank) in RANKS {
        let line = small(&team, tokens, columns, rank)?;
        println!("{tokens} tokens, {columns} columns, rank {rank}:{line}");
    }
    Ok(())
}

/// Multiply-adds a second at the most.
fn peak(precision: Precision, team: &Team) -> f64 {
    let floats = multiply_add_rate(team);
    match precision {
        Precision::Bf16 => bf16_dot_product_rate(team).unwrap_or(floats),
        Precision::F32 => floats,
    }
}

fn frozen_line(
    team: &Team,
    precision: Precision,
    format: Format,
    (rows, columns): (usize, usize),
    peak: f64,
) -> Result<String, Box<dyn Error>> {
    let mut line = format!("{:5} {rows:5} x {columns:4}", format!("{format:?}"));
    for tokens in [1024, 256] {
        let [forward, backward] = frozen(team, precision, format, [rows, columns, tokens])?;
        line += &format!(
            "  {tokens:4} tokens: forward {:4.0} ({:3.0} %), backward {:4.0} ({:3.0} %)",
            forward / 1e9,
            100.0 * forward / peak,
            backward / 1e9,
            100.0 * backward / peak,
        );
    }
    Ok(line)
}

/// Multiply-adds a second, forwards and backwards, of rows, columns and tokens.
fn frozen(
    team: &Team,
    precision: Precision,
    format: Format,
    [rows, columns, tokens]: [usize; 3],
) -> Result<[f64; 2], Box<dyn Error>> {
    let len = rows * format.row_bytes(columns).ok_or("no whole blocks")?;
    // Tame numbers in every format: what they are makes no difference to the time.
    let matrix = Matrix::new(Bytes::from_vec(vec![0x31; len]), format, rows, columns)?;
    let mut x = vec![0.5; tokens * columns];
    let mut y = vec![0.5; tokens * rows];
    let mut frozen = Frozen::new(precision);
    let forward = best(team, || {
        let product = Product { matrix: &matrix, out: &mut y, add: false };
        frozen.forward(team, &x, &mut [product])
    })?;
    y.fill(0.5);
    let backward = best(team, || frozen.backward(team, &[(&matrix, &y)], &mut x, false))?;
    let products = (rows * columns * tokens) as f64;
    Ok([forward, backward].map(|time| products / time.as_secs_f64()))
}

/// Microseconds and GMAC/s of every product that an adapter of a square matrix needs.
fn small(
    team: &Team,
    tokens: usize,
    columns: usize,
    rank: usize,
) -> Result<String, Box<dyn Error>> {
    let x = vec![0.5; tokens * columns];
    let u = vec![0.5; tokens * rank];
    let (a, b) = (vec![0.5; rank * columns], vec![0.5; columns * rank]);
    let (mut wide, mut narrow) = (vec![0.0; tokens * columns], vec![0.0; tokens * rank]);
    let mut gradient = vec![0.0; rank * columns];
    let x = stored(&x, tokens, columns);
    let u = stored(&u, tokens, rank);
    let (a, b) = (stored(&a, rank, columns), stored(&b, columns, rank));
    let mut line = String::new();
    let mut add = |name: &str, left: Dense<'_>, right: Dense<'_>, out: &mut [f32]| {
        let time = best(team, || product(team, 1.5, left, right, 1.0, out))?.as_secs_f64();
        let rate = (tokens * columns * rank) as f64 / time / 1e9;
        line += &format!("  {name} {:.0} us ({rate:.0})", time * 1e6);
        Ok::<_, Box<dyn Error>>(())
    };
    add("x A'", x, transposed(a), &mut narrow)?;
    add("u B'", u, transposed(b), &mut wide)?;
    add("dy B", x, b, &mut narrow)?;
    add("du A", u, a, &mut wide)?;
    add("du' x", transposed(u), x, &mut gradient)?;
    add("dy' u", transposed(x), u, &mut gradient)?;
    Ok(line)
}

fn stored(data: &[f32], rows: usize, columns: usize) -> Dense<'_> {
    Dense { data, rows, columns, transposed: false }
}

fn transposed(matrix: Dense<'_>) -> Dense<'_> {
    Dense { transposed: !matrix.transposed, ..matrix }
}

fn best<E>(team: &Team, mut work: impl FnMut() -> Result<(), E>) -> Result<Duration, E> {
    let mut best = Duration::MAX;
    for _ in 0..ROUNDS {
        let (wall, processor) = (Instant::now(), processor_time());
        work()?;
        best = best.min(match (team.threads(), processor, processor_time()) {
            (1, Some(start), Some(end)) => end.saturating_sub(start),
            _ => wall.elapsed(),
        });
    }
    Ok(best)
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
