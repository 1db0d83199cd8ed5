-- TOKENS names a file with a line for each user: token, id of the first task, number of tasks.
local users, changes, list = {}, 0, "/api/me/tasks"
unexpected = 0  -- read from outside
local titles = {"short", "a title of an ordinary length for a task", "Ünïcödé 报告 ✓"}

function init(args)
  math.randomseed(os.time())
  for line in io.lines(os.getenv("TOKENS")) do
    local token, first, count = line:match("(%S+) (%S+) (%S+)")
    local bearer = "Bearer " .. token
    users[#users + 1] = {
      first = tonumber(first), count = tonumber(count),
      headers = {["Authorization"] = bearer, ["Content-Type"] = "application/json"},
      unchanged = {["Authorization"] = bearer, ["If-None-Match"] = "*"},
    }
  end
end

local function title()
  changes = changes + 1
  return string.format('{"title":"%s %d"}', titles[1 + changes % #titles], changes)
end

-- 35 % lists, 25 % gets, 10 % creates, 10 % changes, 8 % unchanged, 6 % missing, 6 % invalid.
local function get(user, path)
  return wrk.format("GET", list .. path, user.headers)
end

-- Of a hundred: 35 lists, 25 tasks, 10 new ones, 10 changes, 8 unchanged, 6 missing, 6 invalid.
function request()
  local user, chance = users[math.random(#users)], math.random(100)
  local task = "/" .. (user.first + math.random(0, user.count - 1))
  if chance <= 15 then return get(user, "?limit=50") end
  if chance <= 25 then return get(user, "?status=pending&sort=title&limit=50") end
  if chance <= 35 then return get(user, "?limit=10&search=number%20" .. math.random(999)) end
  if chance <= 60 then return get(user, task) end
  if chance <= 70 then return wrk.format("POST", list, user.headers, title()) end
  if chance <= 80 then return wrk.format("PATCH", list .. task, user.headers, title()) end
  if chance <= 88 then return wrk.format("GET", list .. task, user.unchanged) end
  if chance <= 94 then return get(user, "/" .. (900000000 + math.random(1000000))) end
  return wrk.format("POST", list, user.headers, '{"title":"","colour":' .. math.random(1000) .. "}")
end

function response(status)
  if status ~= 200 and status ~= 201 and status ~= 304 and status ~= 400 and status ~= 404 then
    unexpected = unexpected + 1
  end
end

function setup(thread)
  only = thread
end

function done(summary)
  local errors = summary.errors
  local lost = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format('JSON{"requests":%d,"bad":%d}\n', summary.requests, lost + only:get("unexpected")))
end
