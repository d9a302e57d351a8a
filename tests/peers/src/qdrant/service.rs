//! The methods of the protocol that are served; every other one is refused.

use std::sync::Arc;

use ::qdrant_client::qdrant::collections_server::Collections;
use ::qdrant_client::qdrant::points_server::Points;
use ::qdrant_client::qdrant::vectors_config::Config;
use ::qdrant_client::qdrant::*;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::shelf::{Collection, Held, id, name};
use super::{Disk, held};

/// What it says its version is: the client's own.
const VERSION: &str = "1.20.0";

#[derive(Clone)]
pub struct Service {
    pub disk: Arc<Disk>,
    pub paused: watch::Receiver<bool>,
    pub api_key: Option<String>,
}

type Answer<T> = Result<Response<T>, Status>;

impl Service {
    /// Writes a request down and lets it in: not while paused, and not without the key.
    async fn enter<T>(&self, method: &'static str, request: Request<T>) -> Result<T, Status> {
        let mut paused = self.paused.clone();
        _ = paused.wait_for(|paused| !paused).await;
        let given = request.metadata().get("api-key").and_then(|key| key.to_str().ok());
        if self.api_key.is_some() && given != self.api_key.as_deref() {
            return Err(Status::unauthenticated("Must provide an API key or an Authorization bearer token"));
        }
        *held(&self.disk.requests).entry(method).or_default() += 1;
        Ok(request.into_inner())
    }
}

fn updated() -> Response<PointsOperationResponse> {
    let result = UpdateResult { operation_id: Some(0), status: UpdateStatus::Completed.into() };
    Response::new(PointsOperationResponse { result: Some(result), time: 0.0, usage: None })
}

fn retrieved(point: &str, held: &Held) -> RetrievedPoint {
    RetrievedPoint { id: Some(id(point)), payload: held.payload.clone(), ..RetrievedPoint::default() }
}

#[tonic::async_trait]
impl qdrant_server::Qdrant for Service {
    async fn health_check(&self, request: Request<HealthCheckRequest>) -> Answer<HealthCheckReply> {
        self.enter("health_check", request).await?;
        let title = "a stand-in for Qdrant".to_owned();
        Ok(Response::new(HealthCheckReply { title, version: VERSION.to_owned(), commit: None }))
    }
}

macro_rules! refused {
    ($($method:ident($request:ident) -> $answer:ident),* $(,)?) => {$(
        fn $method<'a, 'b>(
            &'a self,
            _request: Request<$request>,
        ) -> std::pin::Pin<Box<dyn Future<Output = Answer<$answer>> + Send + 'b>>
        where
            'a: 'b,
            Self: 'b,
        {
            Box::pin(async { Err(Status::unimplemented(concat!(stringify!($method), " is not served here"))) })
        }
    )*};
}

#[tonic::async_trait]
impl Collections for Service {
    async fn list(&self, request: Request<ListCollectionsRequest>) -> Answer<ListCollectionsResponse> {
        self.enter("list_collections", request).await?;
        let named = |name: &String| CollectionDescription { name: name.clone() };
        let collections = held(&self.disk.shelf).0.keys().map(named).collect();
        Ok(Response::new(ListCollectionsResponse { collections, time: 0.0 }))
    }

    async fn create(&self, request: Request<CreateCollection>) -> Answer<CollectionOperationResponse> {
        let asked = self.enter("create_collection", request).await?;
        let Some(Config::Params(params)) = asked.vectors_config.and_then(|vectors| vectors.config) else {
            return Err(Status::unimplemented("only one vector a point is served here"));
        };
        if params.distance != i32::from(Distance::Cosine) || params.size == 0 {
            return Err(Status::unimplemented("only cosines are served here"));
        }
        let mut shelf = held(&self.disk.shelf);
        if shelf.0.contains_key(&asked.collection_name) {
            let name = &asked.collection_name;
            return Err(Status::already_exists(format!("Wrong input: Collection `{name}` already exists!")));
        }
        shelf.0.insert(asked.collection_name, Collection { size: params.size, ..Collection::default() });
        Ok(Response::new(CollectionOperationResponse { result: true, time: 0.0 }))
    }

    async fn delete(&self, request: Request<DeleteCollection>) -> Answer<CollectionOperationResponse> {
        let asked = self.enter("delete_collection", request).await?;
        let result = held(&self.disk.shelf).0.remove(&asked.collection_name).is_some();
        Ok(Response::new(CollectionOperationResponse { result, time: 0.0 }))
    }

    async fn collection_exists(&self, request: Request<CollectionExistsRequest>) -> Answer<CollectionExistsResponse> {
        let asked = self.enter("collection_exists", request).await?;
        let exists = held(&self.disk.shelf).0.contains_key(&asked.collection_name);
        Ok(Response::new(CollectionExistsResponse { result: Some(CollectionExists { exists }), time: 0.0 }))
    }

    refused! {
        get(GetCollectionInfoRequest) -> GetCollectionInfoResponse,
        update(UpdateCollection) -> CollectionOperationResponse,
        update_aliases(ChangeAliases) -> CollectionOperationResponse,
        list_collection_aliases(ListCollectionAliasesRequest) -> ListAliasesResponse,
        list_aliases(ListAliasesRequest) -> ListAliasesResponse,
        collection_cluster_info(CollectionClusterInfoRequest) -> CollectionClusterInfoResponse,
        update_collection_cluster_setup(UpdateCollectionClusterSetupRequest) -> UpdateCollectionClusterSetupResponse,
        create_shard_key(CreateShardKeyRequest) -> CreateShardKeyResponse,
        delete_shard_key(DeleteShardKeyRequest) -> DeleteShardKeyResponse,
        list_shard_keys(ListShardKeysRequest) -> ListShardKeysResponse,
    }
}

#[tonic::async_trait]
impl Points for Service {
    async fn upsert(&self, request: Request<UpsertPoints>) -> Answer<PointsOperationResponse> {
        let asked = self.enter("upsert", request).await?;
        let only_new = asked.update_mode == Some(UpdateMode::InsertOnly.into());
        let mut shelf = held(&self.disk.shelf);
        let collection = shelf.get_mut(&asked.collection_name)?;
        asked.points.into_iter().try_for_each(|point| collection.put(point, only_new))?;
        Ok(updated())
    }

    async fn get(&self, request: Request<GetPoints>) -> Answer<GetResponse> {
        let asked = self.enter("get", request).await?;
        let shelf = held(&self.disk.shelf);
        let collection = shelf.get(&asked.collection_name)?;
        let mut result = Vec::new();
        for wanted in &asked.ids {
            let name = name(Some(wanted))?;
            result.extend(collection.points.get(&name).map(|held| retrieved(&name, held)));
        }
        Ok(Response::new(GetResponse { result, time: 0.0, usage: None }))
    }

    async fn create_field_index(
        &self,
        request: Request<CreateFieldIndexCollection>,
    ) -> Answer<PointsOperationResponse> {
        let asked = self.enter("create_field_index", request).await?;
        let is_ordered = asked.field_type == Some(FieldType::Integer.into());
        held(&self.disk.shelf).get_mut(&asked.collection_name)?.indexes.insert(asked.field_name, is_ordered);
        Ok(updated())
    }

    async fn scroll(&self, request: Request<ScrollPoints>) -> Answer<ScrollResponse> {
        let asked = self.enter("scroll", request).await?;
        let shelf = held(&self.disk.shelf);
        let collection = shelf.get(&asked.collection_name)?;
        let mut points = collection.filtered(asked.filter.as_ref())?;
        let most = asked.limit.unwrap_or(10) as usize;
        let mut next = None;
        match (&asked.order_by, &asked.offset) {
            (Some(_), Some(_)) => return Err(Status::invalid_argument("Cannot use offset with order_by")),
            (Some(by), None) => collection.ordered(&mut points, by)?,
            (None, Some(from)) => {
                let from = name(Some(from))?;
                points.retain(|(point, _)| **point >= from);
            }
            (None, None) => {}
        }
        if asked.order_by.is_none() {
            next = points.get(most).map(|(point, _)| id(point));
        }
        let result = points.iter().take(most).map(|(point, held)| retrieved(point, held)).collect();
        Ok(Response::new(ScrollResponse { next_page_offset: next, result, time: 0.0, usage: None }))
    }

    async fn count(&self, request: Request<CountPoints>) -> Answer<CountResponse> {
        let asked = self.enter("count", request).await?;
        let shelf = held(&self.disk.shelf);
        let count = shelf.get(&asked.collection_name)?.filtered(asked.filter.as_ref())?.len() as u64;
        Ok(Response::new(CountResponse { result: Some(CountResult { count }), time: 0.0, usage: None }))
    }

    async fn query(&self, request: Request<QueryPoints>) -> Answer<QueryResponse> {
        let asked = self.enter("query", request).await?;
        let Some(query::Variant::Nearest(nearest)) = asked.query.and_then(|query| query.variant) else {
            return Err(Status::unimplemented("only the nearest are served here"));
        };
        let Some(vector_input::Variant::Dense(dense)) = nearest.variant else {
            return Err(Status::unimplemented("only dense vectors are served here"));
        };
        let shelf = held(&self.disk.shelf);
        let collection = shelf.get(&asked.collection_name)?;
        let most = usize::try_from(asked.limit.unwrap_or(10)).unwrap_or(usize::MAX);
        let found = collection.nearest(&dense.data, asked.filter.as_ref(), most)?;
        let scored = |(point, _, score): (&String, &Held, f32)| ScoredPoint {
            id: Some(id(point)),
            score,
            ..ScoredPoint::default()
        };
        Ok(Response::new(QueryResponse { result: found.into_iter().map(scored).collect(), time: 0.0, usage: None }))
    }

    refused! {
        delete(DeletePoints) -> PointsOperationResponse,
        update_vectors(UpdatePointVectors) -> PointsOperationResponse,
        delete_vectors(DeletePointVectors) -> PointsOperationResponse,
        set_payload(SetPayloadPoints) -> PointsOperationResponse,
        overwrite_payload(SetPayloadPoints) -> PointsOperationResponse,
        delete_payload(DeletePayloadPoints) -> PointsOperationResponse,
        clear_payload(ClearPayloadPoints) -> PointsOperationResponse,
        delete_field_index(DeleteFieldIndexCollection) -> PointsOperationResponse,
        create_vector_name(CreateVectorNameRequest) -> PointsOperationResponse,
        delete_vector_name(DeleteVectorNameRequest) -> PointsOperationResponse,
        search(SearchPoints) -> SearchResponse,
        search_batch(SearchBatchPoints) -> SearchBatchResponse,
        search_groups(SearchPointGroups) -> SearchGroupsResponse,
        recommend(RecommendPoints) -> RecommendResponse,
        recommend_batch(RecommendBatchPoints) -> RecommendBatchResponse,
        recommend_groups(RecommendPointGroups) -> RecommendGroupsResponse,
        discover(DiscoverPoints) -> DiscoverResponse,
        discover_batch(DiscoverBatchPoints) -> DiscoverBatchResponse,
        update_batch(UpdateBatchPoints) -> UpdateBatchResponse,
        query_batch(QueryBatchPoints) -> QueryBatchResponse,
        query_groups(QueryPointGroups) -> QueryGroupsResponse,
        facet(FacetCounts) -> FacetResponse,
        search_matrix_pairs(SearchMatrixPoints) -> SearchMatrixPairsResponse,
        search_matrix_offsets(SearchMatrixPoints) -> SearchMatrixOffsetsResponse,
    }
}
