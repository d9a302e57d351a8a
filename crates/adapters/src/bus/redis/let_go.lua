-- Lets go of what no group of the stream waits for any more.
local function parts(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end

local function is_before(a, b)
  local a_ms, a_seq = parts(a)
  local b_ms, b_seq = parts(b)
  return a_ms < b_ms or (a_ms == b_ms and a_seq < b_seq)
end

-- The first entry a group may still ask for: its oldest unacknowledged one, else the one after its last.
local function awaited(stream, group)
  if group['pending'] > 0 then
    return redis.call('XPENDING', stream, group['name'])[2]
  end
  local ms, seq = parts(group['last-delivered-id'])
  return string.format('%.0f-%.0f', ms, seq + 1)
end

local function let_go(stream)
  local first = nil
  for _, fields in ipairs(redis.call('XINFO', 'GROUPS', stream)) do
    local group = {}
    for at = 1, #fields, 2 do
      group[fields[at]] = fields[at + 1]
    end
    local id = awaited(stream, group)
    if first == nil or is_before(id, first) then
      first = id
    end
  end
  if first ~= nil then
    redis.call('XTRIM', stream, 'MINID', first)
  end
end
