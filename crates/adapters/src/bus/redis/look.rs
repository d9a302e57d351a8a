//! What a Redis server says of itself: its version, what we may do there, and groups that do not read.

use redis::aio::ConnectionManager;
use redis::streams::StreamInfoGroupsReply;
use redis::{AsyncCommands as _, ErrorKind, RedisResult, ServerErrorKind};
use sre_space_ports::bus::{BusError, Topic};

use super::lost;

/// What the bus does there, each to be allowed.
const DEEDS: [&[&str]; 4] = [
    &["EVALSHA", "x", "1", "otlp_spans"],
    &["XREADGROUP", "GROUP", "scout", "x", "STREAMS", "otlp_spans", ">"],
    &["XAUTOCLAIM", "otlp_spans", "scout", "x", "1", "0"],
    &["XACK", "otlp_spans", "scout", "0-1"],
];

/// Asks it.
pub(super) async fn at(redis: &mut ConnectionManager) -> Result<String, BusError> {
    let info: String = redis::cmd("INFO").arg("server").query_async(redis).await.map_err(lost)?;
    let version =
        info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("of unknown version").trim();
    let rights = rights(redis).await.map_err(lost)?;
    let mut told = format!("Redis {version}, {rights}");
    for topic in Topic::ALL {
        for idle in unread(redis, topic).await.map_err(lost)? {
            told.push_str("; ");
            told.push_str(&idle);
        }
    }
    Ok(told)
}

/// Whether this user may do what the bus does; servers before version 7 cannot be asked.
async fn rights(redis: &mut ConnectionManager) -> RedisResult<String> {
    let user: RedisResult<String> = redis::cmd("ACL").arg("WHOAMI").query_async(redis).await;
    let Ok(user) = user else { return Ok("rights unknown: it does not tell".to_owned()) };
    for deed in DEEDS {
        let asked: RedisResult<String> = redis::cmd("ACL").arg("DRYRUN").arg(&user).arg(deed).query_async(redis).await;
        match asked {
            Ok(answer) if answer == "OK" => {}
            Ok(answer) => return Ok(format!("but {answer}: grant `+@stream +@scripting ~*` to {user}")),
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError) => {
                return Ok("rights unknown: it does not tell".to_owned());
            }
            Err(error) => return Err(error),
        }
    }
    Ok("all that the bus does is allowed".to_owned())
}

/// Groups of a topic that have something left and nobody who reads it: a stream they hold up refuses once it is full.
async fn unread(redis: &mut ConnectionManager, topic: Topic) -> RedisResult<Vec<String>> {
    if !redis.exists(topic.name()).await? {
        return Ok(Vec::new());
    }
    let groups: StreamInfoGroupsReply = redis.xinfo_groups(topic.name()).await?;
    let left = |group: &redis::streams::StreamInfoGroup| group.pending + group.lag.unwrap_or_default();
    let stale = groups.groups.iter().filter(|group| group.consumers == 0 || left(group) > 0);
    let words = |group: &redis::streams::StreamInfoGroup| {
        let (name, topic) = (&group.name, topic.name());
        format!("group {name} has {} of {topic} left (gone for good? XGROUP DESTROY {topic} {name})", left(group))
    };
    Ok(stale.map(words).collect())
}
