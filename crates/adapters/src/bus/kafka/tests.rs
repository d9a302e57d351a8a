//! Against the client library's own mock of a cluster, which errs on demand.

use bytes::Bytes;
use rdkafka::mocking::MockCluster;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;

const LATE: Duration = Duration::from_millis(1_500);

fn message(body: &'static str) -> Message {
    let body = Bytes::from_static(body.as_bytes());
    Message { key: "checkout".into(), source: "shop".into(), received_ms: 1_800_000_000_000, body }
}

#[tokio::test]
async fn what_was_accepted_and_is_then_refused_is_sent_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = MockCluster::new(1).expect("a cluster");
    cluster.create_topic("otlp_spans", 1, 1).expect("a topic");
    let terms = Terms {
        brokers: cluster.bootstrap_servers(),
        security: HashMap::new(),
        held_messages: 100,
        held_bytes: 1024 * 1024,
        folder: folder.path().to_owned(),
    };
    let bus = KafkaBus::connect(terms).await.expect("connected");
    let mut feed = bus.subscribe(Topic::Spans, "scout").await.expect("subscribed");
    cluster.broker_round_trip_time(1, LATE).expect("late");
    // Permanent for the client library, which gives such a message up.
    cluster.request_errors(RDKafkaApiKey::Produce, &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN]);
    bus.publish(Topic::Spans, message("one")).await.expect("accepted");
    let arrived = tokio::select! {
        () = bus.tend() => None,
        arrived = timeout(Duration::from_secs(30), feed.next()) => arrived.expect("in time"),
    };
    assert_eq!(arrived.map(|delivery| delivery.message), Some(message("one")));
}
