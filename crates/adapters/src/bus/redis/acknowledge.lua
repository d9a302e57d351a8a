-- KEYS: stream. ARGV: group, entry.
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
let_go(KEYS[1])
return 1
