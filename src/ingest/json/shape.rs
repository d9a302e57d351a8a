//! The messages of trace and log requests: what each field is called in JSON, and its number and encoding in protobuf.

/// A message.
pub(super) struct Shape {
    pub(super) name: &'static str,
    /// Whether it can hold itself.
    pub(super) nests: bool,
    pub(super) fields: &'static [Field],
}

/// A field of a message.
pub(super) struct Field {
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
}

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Message(&'static Shape),
    Scalar(Encoding),
}

/// How a single value is written, in JSON and in protobuf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    /// Text.
    Text,
    /// Hexadecimal text → bytes.
    Hex,
    /// Base64 text → bytes.
    Base64,
    /// `true` or `false`.
    Bool,
    /// A number, or a number as text → varint.
    Integer,
    /// The same → eight bytes.
    Fixed64,
    /// The same, below zero too → eight bytes in two's complement.
    Signed64,
    /// The same, below zero too → a zigzag varint.
    Zigzag,
    /// A number, or a number as text → four bytes.
    Fixed32,
    /// A number, or `"NaN"`, `"Infinity"`, `"-Infinity"` → eight bytes.
    Double,
}

pub(super) const fn one(name: &'static str, number: u32, encoding: Encoding) -> Field {
    Field { name, number, kind: Kind::Scalar(encoding), repeated: false }
}

pub(super) const fn message(name: &'static str, number: u32, shape: &'static Shape) -> Field {
    Field { name, number, kind: Kind::Message(shape), repeated: false }
}

pub(super) const fn many(name: &'static str, number: u32, shape: &'static Shape) -> Field {
    Field { name, number, kind: Kind::Message(shape), repeated: true }
}

/// Any number of single values. Written one by one; readers take them packed or not.
pub(super) const fn several(name: &'static str, number: u32, encoding: Encoding) -> Field {
    Field { name, number, kind: Kind::Scalar(encoding), repeated: true }
}

pub(super) const fn shape(name: &'static str, fields: &'static [Field]) -> Shape {
    Shape { name, nests: false, fields }
}

pub(super) static TRACES: Shape = shape("an ExportTraceServiceRequest", &[many("resourceSpans", 1, &RESOURCE_SPANS)]);

static RESOURCE_SPANS: Shape = shape(
    "ResourceSpans",
    &[message("resource", 1, &RESOURCE), many("scopeSpans", 2, &SCOPE_SPANS), one("schemaUrl", 3, Encoding::Text)],
);

pub(super) static RESOURCE: Shape =
    shape("a Resource", &[many("attributes", 1, &KEY_VALUE), one("droppedAttributesCount", 2, Encoding::Integer)]);

static SCOPE_SPANS: Shape =
    shape("ScopeSpans", &[message("scope", 1, &SCOPE), many("spans", 2, &SPAN), one("schemaUrl", 3, Encoding::Text)]);

pub(super) static SCOPE: Shape = shape(
    "an InstrumentationScope",
    &[
        one("name", 1, Encoding::Text),
        one("version", 2, Encoding::Text),
        many("attributes", 3, &KEY_VALUE),
        one("droppedAttributesCount", 4, Encoding::Integer),
    ],
);

static SPAN: Shape = shape(
    "a Span",
    &[
        one("traceId", 1, Encoding::Hex),
        one("spanId", 2, Encoding::Hex),
        one("traceState", 3, Encoding::Text),
        one("parentSpanId", 4, Encoding::Hex),
        one("name", 5, Encoding::Text),
        one("kind", 6, Encoding::Integer),
        one("startTimeUnixNano", 7, Encoding::Fixed64),
        one("endTimeUnixNano", 8, Encoding::Fixed64),
        many("attributes", 9, &KEY_VALUE),
        one("droppedAttributesCount", 10, Encoding::Integer),
        many("events", 11, &EVENT),
        one("droppedEventsCount", 12, Encoding::Integer),
        many("links", 13, &LINK),
        one("droppedLinksCount", 14, Encoding::Integer),
        message("status", 15, &STATUS),
        one("flags", 16, Encoding::Fixed32),
    ],
);

pub(super) static LOGS: Shape = shape("an ExportLogsServiceRequest", &[many("resourceLogs", 1, &RESOURCE_LOGS)]);

static RESOURCE_LOGS: Shape = shape(
    "ResourceLogs",
    &[message("resource", 1, &RESOURCE), many("scopeLogs", 2, &SCOPE_LOGS), one("schemaUrl", 3, Encoding::Text)],
);

static SCOPE_LOGS: Shape = shape(
    "ScopeLogs",
    &[message("scope", 1, &SCOPE), many("logRecords", 2, &LOG_RECORD), one("schemaUrl", 3, Encoding::Text)],
);

static LOG_RECORD: Shape = shape(
    "a LogRecord",
    &[
        one("timeUnixNano", 1, Encoding::Fixed64),
        one("severityNumber", 2, Encoding::Integer),
        one("severityText", 3, Encoding::Text),
        message("body", 5, &ANY_VALUE),
        many("attributes", 6, &KEY_VALUE),
        one("droppedAttributesCount", 7, Encoding::Integer),
        one("flags", 8, Encoding::Fixed32),
        one("traceId", 9, Encoding::Hex),
        one("spanId", 10, Encoding::Hex),
        one("observedTimeUnixNano", 11, Encoding::Fixed64),
        one("eventName", 12, Encoding::Text),
    ],
);

static EVENT: Shape = shape(
    "an Event",
    &[
        one("timeUnixNano", 1, Encoding::Fixed64),
        one("name", 2, Encoding::Text),
        many("attributes", 3, &KEY_VALUE),
        one("droppedAttributesCount", 4, Encoding::Integer),
    ],
);

static LINK: Shape = shape(
    "a Link",
    &[
        one("traceId", 1, Encoding::Hex),
        one("spanId", 2, Encoding::Hex),
        one("traceState", 3, Encoding::Text),
        many("attributes", 4, &KEY_VALUE),
        one("droppedAttributesCount", 5, Encoding::Integer),
        one("flags", 6, Encoding::Fixed32),
    ],
);

static STATUS: Shape = shape("a Status", &[one("message", 2, Encoding::Text), one("code", 3, Encoding::Integer)]);

pub(super) static KEY_VALUE: Shape =
    shape("a KeyValue", &[one("key", 1, Encoding::Text), message("value", 2, &ANY_VALUE)]);

static ANY_VALUE: Shape = Shape {
    name: "an AnyValue",
    nests: true,
    fields: &[
        one("stringValue", 1, Encoding::Text),
        one("boolValue", 2, Encoding::Bool),
        one("intValue", 3, Encoding::Integer),
        one("doubleValue", 4, Encoding::Double),
        message("arrayValue", 5, &ARRAY_VALUE),
        message("kvlistValue", 6, &KEY_VALUE_LIST),
        one("bytesValue", 7, Encoding::Base64),
    ],
};

static ARRAY_VALUE: Shape = shape("an ArrayValue", &[many("values", 1, &ANY_VALUE)]);

static KEY_VALUE_LIST: Shape = shape("a KeyValueList", &[many("values", 1, &KEY_VALUE)]);
