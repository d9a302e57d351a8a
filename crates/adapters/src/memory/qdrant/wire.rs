//! Qdrant's side of the memory: its requests, its answers, and what is made of its errors.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::{
    Condition, CountPointsBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder, Direction, Distance,
    FieldType, Filter, GetPointsBuilder, OrderByBuilder, PointId, PointStruct, QueryPointsBuilder, ScrollPointsBuilder,
    UpdateMode, UpsertPointsBuilder, Value, VectorParamsBuilder,
};
use qdrant_client::{Payload, Qdrant, QdrantError};
use sre_space_domain::ids::Digest;
use sre_space_domain::knowledge::Lesson;
use sre_space_ports::memory::{MOST_ALIKE, MOST_LESSONS, MemoryError};
use tonic::{Code, Status};
use tracing::warn;

use crate::memory::embedder::Kind;
use crate::upstream::{CallError, Upstream};

/// Collections are named by this and the kind of their vectors.
const PREFIX: &str = "sre_space_lessons-";
/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(5);
/// Points of one answer.
const PAGE: u32 = 256;
/// Letters of somebody else's error that are shown.
const LONGEST: usize = 200;
/// The first version with the queries asked here.
const OLDEST: (u64, u64) = (1, 10);

/// Where the server is.
#[derive(Clone)]
pub struct Address {
    /// URL of its gRPC port.
    pub url: String,
    /// Its key, where it wants one.
    pub api_key: Option<String>,
}

/// A point's name: a UUID, made of the lesson's incident, so that remembering one twice is the same point.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Point(String);

impl Point {
    /// The point of a lesson.
    pub fn of(lesson: &Lesson) -> Self {
        let digest = Digest::of([lesson.incident.as_str().as_bytes()]);
        let hex = digest.as_str();
        Self(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]))
    }

    fn read(id: Option<PointId>) -> Option<Self> {
        match id?.point_id_options? {
            PointIdOptions::Uuid(uuid) => Some(Self(uuid)),
            PointIdOptions::Num(_) => None,
        }
    }

    fn id(&self) -> PointId {
        PointId::from(self.0.clone())
    }
}

/// One server, and the collection of one kind of vector.
pub(super) struct Wire {
    client: Qdrant,
    upstream: Arc<Upstream>,
    collection: String,
    kind: Kind,
}

impl Wire {
    pub(super) fn connect(address: &Address, kind: &Kind) -> Result<Self, MemoryError> {
        let built = Qdrant::from_url(&address.url).api_key(address.api_key.clone()).timeout(ANSWER);
        let built = built.connect_timeout(ANSWER).skip_compatibility_check().build();
        let client = built.map_err(|_| MemoryError::Refused("QDRANT_URL is no URL".into()))?;
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || ".-_".contains(letter) { letter } else { '-' };
        let collection = format!("{PREFIX}{}", kind.to_string().chars().map(plain).collect::<String>());
        Ok(Self { client, upstream: Upstream::new("qdrant"), collection, kind: kind.clone() })
    }

    pub(super) fn upstream(&self) -> Arc<Upstream> {
        Arc::clone(&self.upstream)
    }

    async fn call<T>(&self, work: impl Future<Output = Result<T, QdrantError>>) -> Result<T, MemoryError> {
        self.upstream.call(work, |error| !is_no(error)).await.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: CallError<QdrantError>) -> MemoryError {
        match error {
            CallError::Failed(QdrantError::ResourceExhaustedError { retry_after_seconds, .. }) => {
                self.upstream.pause(Duration::from_secs(retry_after_seconds), "too many requests");
                MemoryError::Backend("Qdrant has too many requests".into())
            }
            CallError::Failed(error) if is_no(&error) => MemoryError::Refused(format!("Qdrant: {}", told(&error))),
            CallError::Failed(error) => MemoryError::Backend(format!("Qdrant: {}", told(&error)).into()),
            CallError::Open { .. } => MemoryError::Backend(error.to_string().into()),
        }
    }

    /// The server's version; an error when it is older than what is asked of it.
    pub(super) async fn refuse_too_old(&self) -> Result<String, MemoryError> {
        let version = self.call(self.client.health_check()).await?.version;
        let mut numbers = version.split(['.', '-']).map_while(|number| number.parse::<u64>().ok());
        let parsed = numbers.next().zip(numbers.next());
        let (major, minor) = OLDEST;
        match parsed {
            Some(found) if found < OLDEST => {
                Err(MemoryError::Refused(format!("Qdrant {version} is too old: {major}.{minor} or later is wanted")))
            }
            Some(_) | None => Ok(version),
        }
    }

    /// Collections of lessons with vectors of another kind that hold something.
    pub(super) async fn others(&self) -> Result<Vec<String>, MemoryError> {
        let listed = self.call(self.client.list_collections()).await?;
        let mut others = Vec::new();
        for found in listed.collections {
            let is_other = found.name.starts_with(PREFIX) && found.name != self.collection;
            if is_other && self.count_in(&found.name).await? > 0 {
                others.push(found.name);
            }
        }
        Ok(others)
    }

    /// What the vectors of a collection were made with, as its first point says.
    pub(super) async fn kind_of(&self, collection: &str) -> Result<String, MemoryError> {
        let first =
            self.call(self.client.scroll(ScrollPointsBuilder::new(collection).limit(1).with_payload(true))).await?;
        let told = first.result.first().and_then(|point| text(&point.payload, "embedder"));
        Ok(told.unwrap_or_else(|| collection.trim_start_matches(PREFIX).to_owned()))
    }

    pub(super) async fn exists(&self) -> Result<bool, MemoryError> {
        self.call(self.client.collection_exists(&self.collection)).await
    }

    /// Makes collection and payload indexes, as far as they are not there.
    pub(super) async fn ensure(&self) -> Result<(), MemoryError> {
        if !self.exists().await? {
            let vectors = VectorParamsBuilder::new(self.kind.dimension as u64, Distance::Cosine);
            let create = CreateCollectionBuilder::new(&self.collection).vectors_config(vectors);
            self.call(self.client.create_collection(create)).await?;
        }
        for (field, what) in [("fingerprint", FieldType::Keyword), ("at_ms", FieldType::Integer)] {
            let index = CreateFieldIndexCollectionBuilder::new(&self.collection, field, what).wait(true);
            self.call(self.client.create_field_index(index)).await?;
        }
        Ok(())
    }

    pub(super) async fn delete(&self, collection: &str) -> Result<(), MemoryError> {
        self.call(self.client.delete_collection(collection)).await.map(|_| ())
    }

    pub(super) async fn count(&self) -> Result<u64, MemoryError> {
        self.count_in(&self.collection).await
    }

    async fn count_in(&self, collection: &str) -> Result<u64, MemoryError> {
        let counted = self.call(self.client.count(CountPointsBuilder::new(collection).exact(true))).await?;
        Ok(counted.result.map_or(0, |result| result.count))
    }

    /// Writes lessons with their vectors; a lesson that is there stays as it is.
    pub(super) async fn put(&self, lessons: &[Lesson], vectors: Vec<Vec<f32>>) -> Result<(), MemoryError> {
        let point = |(lesson, vector): (&Lesson, Vec<f32>)| {
            let stored = serde_json::to_string(lesson).map_err(|error| MemoryError::Corrupt(error.to_string()))?;
            let payload: [(&str, Value); 6] = [
                ("lesson", stored.into()),
                ("incident", lesson.incident.as_str().into()),
                ("fingerprint", lesson.signature.fingerprint().as_str().into()),
                ("words", lesson.signature.words().into()),
                ("at_ms", lesson.at_ms.into()),
                ("embedder", self.kind.to_string().into()),
            ];
            Ok(PointStruct::new(Point::of(lesson).id(), vector, Payload::from(payload)))
        };
        let points = lessons.iter().zip(vectors).map(point).collect::<Result<Vec<_>, MemoryError>>()?;
        let upsert = UpsertPointsBuilder::new(&self.collection, points).wait(true).update_mode(UpdateMode::InsertOnly);
        self.call(self.client.upsert_points(upsert)).await.map(|_| ())
    }

    /// The newest lessons that lie under a fingerprint.
    pub(super) async fn alike(&self, fingerprint: &Digest) -> Result<Vec<Lesson>, MemoryError> {
        let same = Filter::must([Condition::matches("fingerprint", fingerprint.as_str().to_owned())]);
        let newest = OrderByBuilder::new("at_ms").direction(Direction::Desc.into());
        let most = u32::try_from(MOST_ALIKE).unwrap_or(PAGE);
        let scroll = ScrollPointsBuilder::new(&self.collection).filter(same).order_by(newest).limit(most);
        let found = self.call(self.client.scroll(scroll.with_payload(true))).await?;
        Ok(found.result.iter().filter_map(|point| readable(&point.payload)).collect())
    }

    /// Cosines of the nearest points; of these only, when some are given.
    pub(super) async fn nearest(
        &self,
        vector: &[f32],
        most: usize,
        among: Option<Vec<Point>>,
    ) -> Result<HashMap<Point, f64>, MemoryError> {
        let mut query = QueryPointsBuilder::new(&self.collection).query(vector.to_vec()).limit(most as u64);
        if let Some(points) = among {
            query = query.filter(Filter::must([Condition::has_id(points.iter().map(Point::id))]));
        }
        let found = self.call(self.client.query(query)).await?;
        let scored = found.result.into_iter().map(|point| Some((Point::read(point.id)?, f64::from(point.score))));
        Ok(scored.flatten().filter(|(_, score)| score.is_finite()).collect())
    }

    /// The lessons of some points.
    pub(super) async fn payloads(&self, points: Vec<Point>) -> Result<HashMap<Point, Lesson>, MemoryError> {
        let mut lessons = HashMap::new();
        for some in points.chunks(PAGE as usize) {
            let ids: Vec<PointId> = some.iter().map(Point::id).collect();
            let get = GetPointsBuilder::new(&self.collection, ids).with_payload(true);
            for point in self.call(self.client.get_points(get)).await?.result {
                let lesson = readable(&point.payload);
                lessons.extend(Point::read(point.id).zip(lesson));
            }
        }
        Ok(lessons)
    }

    /// The words of every lesson, oldest first.
    pub(super) async fn words(&self) -> Result<Vec<(Point, String)>, MemoryError> {
        let read = |id, payload: &HashMap<String, Value>| {
            let found = Point::read(id).zip(text(payload, "words")).zip(text(payload, "incident"));
            Ok(found.map(|((point, words), incident)| (incident, point, words)))
        };
        let mut all: Vec<(String, Point, String)> = self.every(&self.collection, read).await?;
        all.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(all.into_iter().map(|(_, point, words)| (point, words)).collect())
    }

    /// Every lesson, oldest first.
    pub(super) async fn lessons(&self) -> Result<Vec<Lesson>, MemoryError> {
        self.lessons_of(&self.collection).await
    }

    pub(super) async fn lessons_of(&self, collection: &str) -> Result<Vec<Lesson>, MemoryError> {
        let mut all = self.every(collection, |_, payload| lesson(payload).map(Some)).await?;
        all.sort_by(|a, b| a.incident.cmp(&b.incident));
        Ok(all)
    }

    async fn every<T>(
        &self,
        collection: &str,
        read: impl Fn(Option<PointId>, &HashMap<String, Value>) -> Result<Option<T>, MemoryError>,
    ) -> Result<Vec<T>, MemoryError> {
        let (mut all, mut from) = (Vec::new(), None);
        while all.len() < MOST_LESSONS {
            let mut scroll = ScrollPointsBuilder::new(collection).limit(PAGE).with_payload(true);
            if let Some(from) = from {
                scroll = scroll.offset::<PointId>(from);
            }
            let page = self.call(self.client.scroll(scroll)).await?;
            for point in page.result {
                all.extend(read(point.id, &point.payload)?);
            }
            from = page.next_page_offset;
            if from.is_none() {
                break;
            }
        }
        Ok(all)
    }
}

/// The status of an error, where the server answered with one.
fn status(error: &QdrantError) -> Option<&Status> {
    if let QdrantError::ResponseError { status } = error { Some(status) } else { None }
}

/// Whether an error is an answer, and would be the same again.
fn is_no(error: &QdrantError) -> bool {
    let nos = [Code::Unauthenticated, Code::PermissionDenied, Code::InvalidArgument, Code::Unimplemented];
    status(error).is_some_and(|status| nos.contains(&status.code()))
}

/// An error without the headers that came with it.
fn told(error: &QdrantError) -> String {
    let Some(status) = status(error) else { return error.to_string().chars().take(LONGEST).collect() };
    let words: String = status.message().chars().filter(|letter| !letter.is_control()).take(LONGEST).collect();
    let mend = if status.code() == Code::Unauthenticated { " (QDRANT_API_KEY)" } else { "" };
    format!("{:?}: {words}{mend}", status.code())
}

fn text(payload: &HashMap<String, Value>, field: &str) -> Option<String> {
    payload.get(field)?.as_str().map(ToString::to_string)
}

fn lesson(payload: &HashMap<String, Value>) -> Result<Lesson, MemoryError> {
    let stored = text(payload, "lesson").ok_or_else(|| MemoryError::Corrupt("a point without a lesson".into()))?;
    serde_json::from_str(&stored).map_err(|error| MemoryError::Corrupt(error.to_string()))
}

/// A lesson, if it is one. What lies there and is none was not written by us, and must not stand in the way of those that were.
fn readable(payload: &HashMap<String, Value>) -> Option<Lesson> {
    lesson(payload).inspect_err(|error| warn!(%error, "a point of the memory is passed over")).ok()
}
