//! The causal graph: signals, the incidents after them, and edges that say "earlier", not "because".

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde::Serialize;

use super::Hypothesis;
use super::chain::Chain;

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Node {
    /// Its name.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// For people.
    pub label: String,
}

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeKind {
    /// A detector's finding on a metric.
    Signal,
    /// Errors.
    Incident,
}

/// Why an edge is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EdgeKind {
    /// A signal stands before an incident; the weight is its relevance.
    Precedes,
    /// Two signals are in one chain; the weight is the chain's risk.
    Chained,
}

/// An edge.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Edge {
    /// The earlier.
    pub from: String,
    /// The later.
    pub to: String,
    /// Why it is drawn.
    pub kind: EdgeKind,
    /// How strong it is.
    pub weight: f64,
}

/// Nodes and edges, each once, in order of their names.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Graph {
    /// Nodes.
    pub nodes: Vec<Node>,
    /// Edges.
    pub edges: Vec<Edge>,
}

impl Graph {
    /// Adds an incident with what preceded it.
    pub fn add(&mut self, incident: (&str, String), host: &str, hypotheses: &[Hypothesis], chains: &[Chain]) {
        let (id, label) = incident;
        let name = |metric: &str, detector: &str| format!("{host}:{metric}/{detector}");
        let mut nodes: BTreeSet<Node> = self.nodes.drain(..).collect();
        nodes.insert(Node { id: id.to_owned(), kind: NodeKind::Incident, label });
        let mut signals = Vec::new();
        for hypothesis in hypotheses {
            let signal = name(&hypothesis.metric, hypothesis.detector.as_str());
            let label = format!("{host}:{} {}", hypothesis.metric, hypothesis.detector.as_str());
            nodes.insert(Node { id: signal.clone(), kind: NodeKind::Signal, label });
            let (to, weight) = (id.to_owned(), hypothesis.relevance);
            self.edges.push(Edge { from: signal.clone(), to, kind: EdgeKind::Precedes, weight });
            signals.push((hypothesis.first_seen_hours, signal));
        }
        self.nodes = nodes.into_iter().collect();
        // What had been seen for longer was there earlier.
        signals.sort_by(|one, other| other.0.total_cmp(&one.0));
        for pair in signals.windows(2) {
            let together = |chain: &&Chain| [&pair[0].1, &pair[1].1].iter().all(|id| holds(chain, id, host));
            if let Some(chain) = chains.iter().rfind(together) {
                let (from, to) = (pair[0].1.clone(), pair[1].1.clone());
                self.edges.push(Edge { from, to, kind: EdgeKind::Chained, weight: chain.risk });
            }
        }
    }

    /// As Graphviz reads it.
    pub fn dot(&self) -> String {
        let mut text = "digraph coherence {\n  rankdir=LR;\n".to_owned();
        for node in &self.nodes {
            let shape = match node.kind {
                NodeKind::Signal => "ellipse",
                NodeKind::Incident => "box",
            };
            _ = writeln!(text, "  {} [shape={shape}, label={}];", quoted(&node.id), quoted(&node.label));
        }
        for edge in &self.edges {
            let style = match edge.kind {
                EdgeKind::Precedes => "solid",
                EdgeKind::Chained => "dashed",
            };
            let (from, to, weight) = (quoted(&edge.from), quoted(&edge.to), edge.weight);
            _ = writeln!(text, "  {from} -> {to} [style={style}, label=\"{weight:.2}\"];");
        }
        text + "}\n"
    }
}

fn holds(chain: &Chain, signal: &str, host: &str) -> bool {
    let of_host = signal.strip_prefix(host).and_then(|rest| rest.strip_prefix(':'));
    of_host.is_some_and(|name| chain.names.iter().any(|held| held == name))
}

/// A name as a quoted id of the DOT language, in which only the quote needs an escape; a backslash is doubled because labels know
/// escapes of their own.
fn quoted(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("\"{}\"", plain.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_stays_a_name() {
        let mut graph = Graph::default();
        graph.add(("a\"];evil\\[\n", "b".to_owned()), "h", &[], &[]);
        let expected = "digraph coherence {\n  rankdir=LR;\n  \"a\\\"];evil\\\\[ \" [shape=box, label=\"b\"];\n}\n";
        assert_eq!(graph.dot(), expected);
    }
}
