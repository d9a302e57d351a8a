//! What the profile changes: defaults alone, so that whatever is set counts.

use super::Reader;

/// Where the cloud's defaults differ from a laptop's: it is reached from outside, and its few cores ask a model one thing at a
/// time. Names that are no setting of this build count for nothing.
const IN_THE_CLOUD: [(&str, &str); 4] = [
    ("SRE_SPACE_HTTP_ADDR", "0.0.0.0:8001"),
    ("SRE_SPACE_OTLP_GRPC_ADDR", "0.0.0.0:4317"),
    ("SRE_SPACE_OTLP_HTTP_ADDR", "0.0.0.0:4318"),
    ("LLM_CONCURRENCY", "1"),
];

impl Reader<'_> {
    /// `local` or `cloud`: as it is set, else as `ENV` says, else as the platform shows.
    pub(super) fn profile(&mut self) -> String {
        let set = |name: &str| (self.get)(name);
        if set("SRE_SPACE_PROFILE").is_some() {
            return self.one_of("SRE_SPACE_PROFILE", &["local", "cloud"]);
        }
        let honoured = set("ENV").filter(|env| env == "local" || env == "cloud");
        let is_hosted = set("RENDER").is_some_and(|is_render| is_render == "true");
        honoured.unwrap_or_else(|| if is_hosted { "cloud" } else { "local" }.to_owned())
    }

    /// The profile's default of a setting, where it has one of its own.
    pub(super) fn profiled(&self, name: &str) -> Option<&'static str> {
        let differs = IN_THE_CLOUD.iter().find(|(differs, _)| *differs == name)?;
        let mut reader = Reader { get: self.get, mistakes: Vec::new() };
        (reader.profile() == "cloud").then_some(differs.1)
    }
}
