//! The messages of a metrics request.

use super::shape::{Encoding, KEY_VALUE, RESOURCE, SCOPE, Shape, many, message, one, several, shape};

pub(super) static REQUEST: Shape =
    shape("an ExportMetricsServiceRequest", &[many("resourceMetrics", 1, &RESOURCE_METRICS)]);

static RESOURCE_METRICS: Shape = shape(
    "ResourceMetrics",
    &[message("resource", 1, &RESOURCE), many("scopeMetrics", 2, &SCOPE_METRICS), one("schemaUrl", 3, Encoding::Text)],
);

static SCOPE_METRICS: Shape = shape(
    "ScopeMetrics",
    &[message("scope", 1, &SCOPE), many("metrics", 2, &METRIC), one("schemaUrl", 3, Encoding::Text)],
);

static METRIC: Shape = shape(
    "a Metric",
    &[
        one("name", 1, Encoding::Text),
        one("description", 2, Encoding::Text),
        one("unit", 3, Encoding::Text),
        message("gauge", 5, &GAUGE),
        message("sum", 7, &SUM),
        message("histogram", 9, &HISTOGRAM),
        message("exponentialHistogram", 10, &EXPONENTIAL_HISTOGRAM),
        message("summary", 11, &SUMMARY),
        many("metadata", 12, &KEY_VALUE),
    ],
);

static GAUGE: Shape = shape("a Gauge", &[many("dataPoints", 1, &NUMBER)]);

static SUM: Shape = shape(
    "a Sum",
    &[
        many("dataPoints", 1, &NUMBER),
        one("aggregationTemporality", 2, Encoding::Integer),
        one("isMonotonic", 3, Encoding::Bool),
    ],
);

static HISTOGRAM: Shape = shape(
    "a Histogram",
    &[many("dataPoints", 1, &HISTOGRAM_POINT), one("aggregationTemporality", 2, Encoding::Integer)],
);

static EXPONENTIAL_HISTOGRAM: Shape = shape(
    "an ExponentialHistogram",
    &[many("dataPoints", 1, &EXPONENTIAL_POINT), one("aggregationTemporality", 2, Encoding::Integer)],
);

static SUMMARY: Shape = shape("a Summary", &[many("dataPoints", 1, &SUMMARY_POINT)]);

static NUMBER: Shape = shape(
    "a NumberDataPoint",
    &[
        one("startTimeUnixNano", 2, Encoding::Fixed64),
        one("timeUnixNano", 3, Encoding::Fixed64),
        one("asDouble", 4, Encoding::Double),
        many("exemplars", 5, &EXEMPLAR),
        one("asInt", 6, Encoding::Signed64),
        many("attributes", 7, &KEY_VALUE),
        one("flags", 8, Encoding::Integer),
    ],
);

static HISTOGRAM_POINT: Shape = shape(
    "a HistogramDataPoint",
    &[
        one("startTimeUnixNano", 2, Encoding::Fixed64),
        one("timeUnixNano", 3, Encoding::Fixed64),
        one("count", 4, Encoding::Fixed64),
        one("sum", 5, Encoding::Double),
        several("bucketCounts", 6, Encoding::Fixed64),
        several("explicitBounds", 7, Encoding::Double),
        many("exemplars", 8, &EXEMPLAR),
        many("attributes", 9, &KEY_VALUE),
        one("flags", 10, Encoding::Integer),
        one("min", 11, Encoding::Double),
        one("max", 12, Encoding::Double),
    ],
);

static EXPONENTIAL_POINT: Shape = shape(
    "an ExponentialHistogramDataPoint",
    &[
        many("attributes", 1, &KEY_VALUE),
        one("startTimeUnixNano", 2, Encoding::Fixed64),
        one("timeUnixNano", 3, Encoding::Fixed64),
        one("count", 4, Encoding::Fixed64),
        one("sum", 5, Encoding::Double),
        one("scale", 6, Encoding::Zigzag),
        one("zeroCount", 7, Encoding::Fixed64),
        message("positive", 8, &BUCKETS),
        message("negative", 9, &BUCKETS),
        one("flags", 10, Encoding::Integer),
        many("exemplars", 11, &EXEMPLAR),
        one("min", 12, Encoding::Double),
        one("max", 13, Encoding::Double),
        one("zeroThreshold", 14, Encoding::Double),
    ],
);

static BUCKETS: Shape =
    shape("Buckets", &[one("offset", 1, Encoding::Zigzag), several("bucketCounts", 2, Encoding::Integer)]);

static SUMMARY_POINT: Shape = shape(
    "a SummaryDataPoint",
    &[
        one("startTimeUnixNano", 2, Encoding::Fixed64),
        one("timeUnixNano", 3, Encoding::Fixed64),
        one("count", 4, Encoding::Fixed64),
        one("sum", 5, Encoding::Double),
        many("quantileValues", 6, &QUANTILE),
        many("attributes", 7, &KEY_VALUE),
        one("flags", 8, Encoding::Integer),
    ],
);

static QUANTILE: Shape =
    shape("a ValueAtQuantile", &[one("quantile", 1, Encoding::Double), one("value", 2, Encoding::Double)]);

static EXEMPLAR: Shape = shape(
    "an Exemplar",
    &[
        one("timeUnixNano", 2, Encoding::Fixed64),
        one("asDouble", 3, Encoding::Double),
        one("spanId", 4, Encoding::Hex),
        one("traceId", 5, Encoding::Hex),
        one("asInt", 6, Encoding::Signed64),
        many("filteredAttributes", 7, &KEY_VALUE),
    ],
);
