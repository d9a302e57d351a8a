//! Dense retrieval without an index: every vector is looked at, as bytes. Up to a hundred thousand that is faster than an index
//! is worth, and finds everything.

/// Unit vectors of one dimension, each as bytes with its own scale.
#[derive(Debug)]
pub struct Scan {
    dimension: usize,
    bytes: Vec<i8>,
    scales: Vec<f32>,
}

impl Scan {
    /// No vectors yet.
    pub fn new(dimension: usize) -> Self {
        Self { dimension, bytes: Vec::new(), scales: Vec::new() }
    }

    /// Adds the next vector; what it has beyond the dimension is left out, what it lacks is zero.
    pub fn add(&mut self, vector: &[f32]) {
        let (bytes, scale) = quantised(vector, self.dimension);
        self.bytes.extend(bytes);
        self.scales.push(scale);
    }

    /// A question to compare with.
    pub fn question(&self, vector: &[f32]) -> Question {
        let (bytes, scale) = quantised(vector, self.dimension);
        Question { bytes, scale }
    }

    /// Cosine of one vector with a question, to within the rounding of both to bytes; `None` when there is no such vector.
    pub fn cosine(&self, at: usize, question: &Question) -> Option<f32> {
        let from = at.checked_mul(self.dimension)?;
        let row = self.bytes.get(from..from + self.dimension)?;
        Some(dot(row, &question.bytes) as f32 * self.scales.get(at)? * question.scale)
    }

    /// Cosines of all vectors with a question.
    pub fn cosines(&self, vector: &[f32]) -> Vec<f32> {
        let asked = self.question(vector);
        (0..self.scales.len()).filter_map(|at| self.cosine(at, &asked)).collect()
    }
}

/// A vector that others are compared with, as bytes.
pub struct Question {
    bytes: Vec<i8>,
    scale: f32,
}

fn quantised(vector: &[f32], dimension: usize) -> (Vec<i8>, f32) {
    let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = if largest > 0.0 { largest / f32::from(i8::MAX) } else { 1.0 };
    let filled = vector.iter().copied().chain(std::iter::repeat(0.0)).take(dimension);
    (filled.map(|value| (value / scale).round() as i8).collect(), scale)
}

/// Sixteen at a time, so that the compiler finds the instructions for it.
fn dot(a: &[i8], b: &[i8]) -> i32 {
    let ((a, rest), (b, also)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let product = |(x, y): (&i8, &i8)| i32::from(*x) * i32::from(*y);
    let chunk = |(x, y): (&[i8; 16], &[i8; 16])| x.iter().zip(y).map(product).sum::<i32>();
    a.iter().zip(b).map(chunk).sum::<i32>() + rest.iter().zip(also).map(product).sum::<i32>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_a_cosine_within_a_hundredth() {
        let unit = |seed: u32| {
            let raw: Vec<f32> = (0..64_u32).map(|at| ((seed * 31 + at * at * 7) % 97) as f32 / 97.0 - 0.5).collect();
            let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
            raw.into_iter().map(|value| value / length).collect::<Vec<f32>>()
        };
        let mut scan = Scan::new(64);
        let vectors: Vec<Vec<f32>> = (1..50).map(unit).collect();
        vectors.iter().for_each(|vector| scan.add(vector));
        let asked = unit(77);
        for (found, vector) in scan.cosines(&asked).iter().zip(&vectors) {
            let exact: f32 = vector.iter().zip(&asked).map(|(x, y)| x * y).sum();
            assert!((found - exact).abs() < 0.01, "{found} {exact}");
        }
        scan.add(&[]);
        assert_eq!(scan.cosines(&asked).last(), Some(&0.0));
    }
}
