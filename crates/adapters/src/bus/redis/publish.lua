-- KEYS: stream, mark of this very message. ARGV: most entries, seconds the mark is kept, key, source, received_ms, body.
-- A publisher that heard no answer asks again: what is marked was taken.
if redis.call('EXISTS', KEYS[2]) == 1 then
  return 1
end
if redis.call('XLEN', KEYS[1]) >= tonumber(ARGV[1]) then
  if #redis.call('XINFO', 'GROUPS', KEYS[1]) > 0 then
    return 0
  end
  -- Nobody has asked for these to be kept: the oldest makes room.
  redis.call('XTRIM', KEYS[1], 'MAXLEN', tonumber(ARGV[1]) - 1)
end
redis.call('XADD', KEYS[1], '*', 'key', ARGV[3], 'source', ARGV[4], 'received_ms', ARGV[5], 'body', ARGV[6])
redis.call('SET', KEYS[2], '1', 'EX', ARGV[2])
return 1
