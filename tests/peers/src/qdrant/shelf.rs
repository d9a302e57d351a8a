//! What the server holds: collections of points with vectors and payloads, compared exactly.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use qdrant_client::qdrant::condition::ConditionOneOf;
use qdrant_client::qdrant::r#match::MatchValue;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::value::Kind;
use qdrant_client::qdrant::{Condition, Filter, OrderBy, PointId, PointStruct, Value, vector, vectors};
use tonic::Status;

/// A point.
#[derive(Debug, Clone)]
pub struct Held {
    /// Unit vector: the server keeps it so, for cosines.
    pub vector: Vec<f32>,
    pub payload: HashMap<String, Value>,
}

/// A collection.
#[derive(Debug, Default)]
pub struct Collection {
    pub size: u64,
    pub points: BTreeMap<String, Held>,
    /// Payload fields with an index, and whether it knows an order.
    pub indexes: BTreeMap<String, bool>,
}

/// All collections.
#[derive(Debug, Default)]
pub struct Shelf(pub BTreeMap<String, Collection>);

impl Shelf {
    pub fn counts(&self) -> BTreeMap<String, usize> {
        self.0.iter().map(|(name, collection)| (name.clone(), collection.points.len())).collect()
    }

    pub fn get(&self, name: &str) -> Result<&Collection, Status> {
        self.0.get(name).ok_or_else(|| missing(name))
    }

    pub fn get_mut(&mut self, name: &str) -> Result<&mut Collection, Status> {
        self.0.get_mut(name).ok_or_else(|| missing(name))
    }
}

fn missing(name: &str) -> Status {
    Status::not_found(format!("Not found: Collection `{name}` doesn't exist!"))
}

pub fn id(point: &str) -> PointId {
    PointId::from(point.to_owned())
}

pub fn name(id: Option<&PointId>) -> Result<String, Status> {
    match id.and_then(|id| id.point_id_options.as_ref()) {
        Some(PointIdOptions::Uuid(uuid)) if is_uuid(uuid) => Ok(uuid.clone()),
        other => Err(Status::invalid_argument(format!("Unable to parse UUID: {other:?}"))),
    }
}

fn is_uuid(text: &str) -> bool {
    let parts: Vec<usize> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

pub fn unit(vector: &[f32]) -> Vec<f32> {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    let length = if length > 0.0 { length } else { 1.0 };
    vector.iter().map(|value| value / length).collect()
}

impl Collection {
    fn fits(&self, vector: &[f32]) -> Result<(), Status> {
        let (wanted, got) = (self.size, vector.len());
        if wanted == got as u64 {
            return Ok(());
        }
        Err(Status::invalid_argument(format!("Wrong input: Vector dimension error: expected dim: {wanted}, got {got}")))
    }

    pub fn put(&mut self, point: PointStruct, only_new: bool) -> Result<(), Status> {
        let name = name(point.id.as_ref())?;
        let given = match point.vectors.and_then(|vectors| vectors.vectors_options) {
            Some(vectors::VectorsOptions::Vector(vector)) => vector.vector,
            other => return Err(Status::invalid_argument(format!("not a single vector: {other:?}"))),
        };
        let Some(vector::Vector::Dense(dense)) = given else {
            return Err(Status::invalid_argument("not a dense vector"));
        };
        self.fits(&dense.data)?;
        if !(only_new && self.points.contains_key(&name)) {
            self.points.insert(name, Held { vector: unit(&dense.data), payload: point.payload });
        }
        Ok(())
    }

    /// Points that a filter lets through, by name.
    pub fn filtered(&self, filter: Option<&Filter>) -> Result<Vec<(&String, &Held)>, Status> {
        let mut through = Vec::new();
        for (name, held) in &self.points {
            if filter.map_or(Ok(true), |filter| passes(filter, name, held))? {
                through.push((name, held));
            }
        }
        Ok(through)
    }

    /// The points with the largest cosines, largest first.
    pub fn nearest(
        &self,
        vector: &[f32],
        filter: Option<&Filter>,
        most: usize,
    ) -> Result<Vec<(&String, &Held, f32)>, Status> {
        self.fits(vector)?;
        let asked = unit(vector);
        let cosine = |held: &Held| held.vector.iter().zip(&asked).map(|(x, y)| x * y).sum::<f32>();
        let mut scored: Vec<_> =
            self.filtered(filter)?.into_iter().map(|(name, held)| (name, held, cosine(held))).collect();
        scored.sort_by(|a, b| b.2.total_cmp(&a.2).then(a.0.cmp(b.0)));
        scored.truncate(most);
        Ok(scored)
    }

    /// Orders points by a payload field, for which the server wants an index that knows an order.
    pub fn ordered(&self, points: &mut [(&String, &Held)], by: &OrderBy) -> Result<(), Status> {
        if self.indexes.get(&by.key) != Some(&true) {
            let key = &by.key;
            return Err(Status::invalid_argument(format!("Bad request: No range index for `order_by` key: `{key}`")));
        }
        let number = |held: &Held| match held.payload.get(&by.key).and_then(|value| value.kind.as_ref()) {
            Some(Kind::IntegerValue(number)) => *number,
            _ => i64::MIN,
        };
        points.sort_by_key(|(_, held)| number(held));
        if by.direction == Some(1) {
            points.reverse();
        }
        Ok(())
    }
}

fn passes(filter: &Filter, name: &str, held: &Held) -> Result<bool, Status> {
    if !filter.should.is_empty() || filter.min_should.is_some() {
        return Err(Status::unimplemented("only must and must_not are served here"));
    }
    for condition in &filter.must {
        if !meets(condition, name, held)? {
            return Ok(false);
        }
    }
    for condition in &filter.must_not {
        if meets(condition, name, held)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn meets(condition: &Condition, name: &str, held: &Held) -> Result<bool, Status> {
    match &condition.condition_one_of {
        Some(ConditionOneOf::HasId(wanted)) => {
            let wanted = wanted.has_id.iter().map(|id| self::name(Some(id))).collect::<Result<BTreeSet<_>, _>>()?;
            Ok(wanted.contains(name))
        }
        Some(ConditionOneOf::Field(field)) => {
            let wanted = field.r#match.as_ref().and_then(|wanted| wanted.match_value.as_ref());
            let found = held.payload.get(&field.key).and_then(|value| value.kind.as_ref());
            match (wanted, found) {
                (Some(MatchValue::Keyword(wanted)), Some(Kind::StringValue(found))) => Ok(wanted == found),
                (Some(MatchValue::Keyword(_)), None) => Ok(false),
                other => Err(Status::unimplemented(format!("this match is not served here: {other:?}"))),
            }
        }
        other => Err(Status::unimplemented(format!("this condition is not served here: {other:?}"))),
    }
}
