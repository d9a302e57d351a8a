"""Rankings of Qdrant's own engine: vectors and questions as JSON in, the nearest of each as JSON out."""

import json
import os
import sys

from qdrant_edge import Distance, EdgeConfig, EdgeShard, EdgeVectorParams, Point, Query, SearchParams, SearchRequest, UpdateOperation

asked = json.load(sys.stdin)
size = len(asked["vectors"][0])
os.makedirs("shard", exist_ok=True)
shard = EdgeShard.create("shard", EdgeConfig(vectors=EdgeVectorParams(size=size, distance=Distance.Cosine)))
shard.update(UpdateOperation.upsert_points([Point(at, vector, {}) for at, vector in enumerate(asked["vectors"])]))


def nearest(vector):
    request = SearchRequest(Query.Nearest(vector), asked["k"], params=SearchParams(exact=True))
    return [point.id for point in shard.search(request)]


json.dump([nearest(vector) for vector in asked["asked"]], sys.stdout)
