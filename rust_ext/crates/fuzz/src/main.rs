//! Feeds the fold and the chain with valid histories, with broken ones and with noise, and checks what must always
//! hold. `fuzz --seconds N --seed S` runs for N seconds; a failure prints the seed that repeats it.

mod chain;
mod check;
mod generate;
mod mutate;
mod random;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::random::Random;

const USAGE: &str = "usage: fuzz [--seconds N] [--seed S]";
const SECONDS: u64 = 10;

struct Options {
    seconds: u64,
    seed: u64,
}

fn options(mut words: impl Iterator<Item = String>) -> Option<Options> {
    let mut found = Options {
        seconds: SECONDS,
        seed: 1,
    };
    while let Some(word) = words.next() {
        let value = words.next()?.parse().ok()?;
        match word.as_str() {
            "--seconds" => found.seconds = value,
            "--seed" => found.seed = value,
            _ => return None,
        }
    }
    Some(found)
}

/// Runs one input, and leaves the bytes at which it ended.
fn run(seed: u64, bytes: &mut Vec<u8>) -> Result<(), String> {
    let mut random = Random::new(seed);
    if random.one_in(3) {
        bytes.clear();
        return chain::run(&mut random);
    }
    let mut case = generate::case(&mut random);
    bytes.clone_from(&case.buffer);
    check::valid(&case)?;
    for _ in 0..4 {
        mutate::mutate(&mut random, &mut case.buffer);
        bytes.clone_from(&case.buffer);
        check::any(&case, &mut random)?;
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn main() -> ExitCode {
    let Some(options) = options(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let end = Instant::now() + Duration::from_secs(options.seconds);
    let (mut inputs, mut bytes) = (0, Vec::new());
    loop {
        let seed = options.seed.wrapping_add(inputs);
        let result = catch_unwind(AssertUnwindSafe(|| run(seed, &mut bytes)));
        inputs += 1;
        if let Err(reason) = result.unwrap_or_else(|_| Err("a panic".to_owned())) {
            println!("{inputs} inputs, 1 failure: {reason}");
            println!(
                "repeat with: fuzz --seconds 0 --seed {seed}; the heads were {}",
                hex(&bytes)
            );
            return ExitCode::FAILURE;
        }
        if Instant::now() >= end {
            println!("{inputs} inputs, 0 failures");
            return ExitCode::SUCCESS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::run;

    /// What must always hold does so for the first seeds, with every overflow checked.
    #[test]
    fn the_first_seeds_hold() {
        let mut bytes = Vec::new();
        for seed in 0..200 {
            assert_eq!(run(seed, &mut bytes), Ok(()), "seed {seed}");
        }
    }
}
