//! `GetMetricData` in AWS JSON 1.0
//! (<https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_GetMetricData.html>).

use serde::{Deserialize, Serialize};

/// The one operation, which reads; AWS JSON has no other method than POST.
pub(super) const TARGET: &str = "GraniteServiceVersion20100801.GetMetricData";
/// Queries of one question.
pub(super) const MOST_QUERIES: usize = 500;

/// A question.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Question<'a> {
    /// What is asked for.
    pub metric_data_queries: &'a [Query],
    /// From here on, Unix s.
    pub start_time: i64,
    /// Up to here and not at it, Unix s.
    pub end_time: i64,
    /// Oldest first.
    pub scan_by: &'static str,
    /// Where the page before this one ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_token: Option<String>,
}

/// One metric of one host, or of all hosts that a search finds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Query {
    /// By which its results are known.
    pub id: String,
    /// What its results are called.
    pub label: String,
    /// A search.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expression: Option<String>,
    /// A metric.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metric_stat: Option<MetricStat>,
}

/// A metric as one value a period.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct MetricStat {
    /// Metric.
    pub metric: Metric,
    /// Period, s.
    pub period: i64,
    /// Statistic.
    pub stat: &'static str,
}

/// A metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metric {
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub metric_name: String,
    /// Of what.
    pub dimensions: Vec<Dimension>,
}

/// A dimension.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Dimension {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// An answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    /// Results, in any order.
    pub metric_data_results: Vec<Found>,
    /// Where the next page begins.
    #[serde(default)]
    pub next_token: Option<String>,
    /// What is to be said of all of it, such as that a search found more than it may tell.
    #[serde(default)]
    pub messages: Vec<Message>,
}

/// What AWS has to say of an answer.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Message {
    /// In one word.
    #[serde(default)]
    pub code: String,
    /// In a sentence.
    #[serde(default)]
    pub value: String,
}

/// Values of one metric.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Found {
    /// Of the query.
    pub id: String,
    /// The host, where a search found it.
    #[serde(default)]
    pub label: String,
    /// When, Unix s; as many as values.
    #[serde(default)]
    pub timestamps: Vec<f64>,
    /// Values.
    #[serde(default)]
    pub values: Vec<f64>,
    /// Whether they are all.
    #[serde(default)]
    pub status_code: String,
    /// What is to be said of them.
    #[serde(default)]
    pub messages: Vec<Message>,
}
