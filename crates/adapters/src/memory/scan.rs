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

    /// Cosines of all vectors with a question, to within the rounding of both to bytes.
    pub fn cosines(&self, question: &[f32]) -> Vec<f32> {
        let (asked, scale) = quantised(question, self.dimension);
        let rows = self.bytes.chunks_exact(self.dimension.max(1)).zip(&self.scales);
        rows.map(|(row, its)| dot(row, &asked) as f32 * its * scale).collect()
    }
}

fn quantised(vector: &[f32], dimension: usize) -> (Vec<i8>, f32) {
    let largest = vector.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let scale = if largest > 0.0 { largest / f32::from(i8::MAX) } else { 1.0 };
    let filled = vector.iter().copied().chain(std::iter::repeat(0.0)).take(dimension);
    (filled.map(|value| (value / scale).round() as i8).collect(), scale)
}

/// In sixteen bits a product fits, and pairs of them add up in one instruction.
fn dot(a: &[i8], b: &[i8]) -> i32 {
    a.iter().zip(b).map(|(x, y)| i32::from(i16::from(*x) * i16::from(*y))).sum()
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
