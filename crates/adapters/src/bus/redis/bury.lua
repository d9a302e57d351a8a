-- Moves an entry to the dead letters. KEYS: stream, dead letters. ARGV: group, entry, most dead letters.
local found = redis.call('XRANGE', KEYS[1], ARGV[2], ARGV[2])
if found[1] then
  local fields = found[1][2]
  fields[#fields + 1] = 'group'
  fields[#fields + 1] = ARGV[1]
  redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[3], '*', unpack(fields))
end
redis.call('XACK', KEYS[1], ARGV[1], ARGV[2])
let_go(KEYS[1])
return 1
