//! The state machine, walked.
