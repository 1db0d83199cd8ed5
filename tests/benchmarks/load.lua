-- wrk's requests. WORKLOAD names their kind; TOKENS a file with a line for each user:
-- "role user token first_task etag". STATUS is the server's word for what is still to do.
local workload, status = os.getenv("WORKLOAD"), os.getenv("STATUS")
local lists, gets, creations, changes = {}, {}, {}, {}
local changed = 0

local function headers(token, more)
  local all = {["Authorization"] = "Bearer " .. token, ["Accept"] = "application/json"}
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

local function add_reads(path, token, first, etag)
  local condition = workload == "list_304" and {["If-None-Match"] = etag} or nil
  lists[#lists + 1] = wrk.format("GET", path .. "?status=" .. status .. "&limit=50", headers(token, condition))
  for number = 0, 40 do
    gets[#gets + 1] = wrk.format("GET", path .. "/" .. first + number * 24, headers(token))
  end
end

local function add_creation(path, token)
  local body = '{"title": "A new task from the benchmark", "description": "some text of the task, of ordinary'
    .. ' length for a description", "status": "' .. status .. '"}'
  creations[#creations + 1] = wrk.format("POST", path, headers(token, {["Content-Type"] = "application/json"}), body)
end

-- A body of the same length each time, but with another title: a change that changes nothing might cost nothing.
local function body_of_change(number)
  return string.format('{"title": "changed title of a task %010d"}', number)
end

local function add_changes(path, token, first)
  for number = 0, 40 do
    local body = body_of_change(0)
    local head = wrk.format("PATCH", path .. "/" .. first + number * 24,
      headers(token, {["Content-Type"] = "application/json"}), body)
    changes[#changes + 1] = head:sub(1, #head - #body)
  end
end

function init()
  -- The seconds alone would begin the titles of two short runs alike.
  local noise = io.open("/dev/urandom", "rb"):read(3)
  math.randomseed(noise:byte(1) + noise:byte(2) * 256 + noise:byte(3) * 65536)
  changed = math.random(2000000000)
  for line in io.lines(os.getenv("TOKENS")) do
    local role, user, token, first, etag = line:match("(%S+) (%S+) (%S+) (%S+) (%S+)")
    local path = "/api/" .. user .. "/tasks"
    if role == "read" then add_reads(path, token, first, etag)
    elseif role == "change" then add_changes(path, token, first)
    else add_creation(path, token) end
  end
end

local function any(requests) return requests[math.random(#requests)] end
local function a_change()
  changed = changed + 1
  return any(changes) .. body_of_change(changed)
end
local function a_list() return any(lists) end
local function a_get() return any(gets) end
local function a_creation() return any(creations) end

local function a_mixture()
  local dice = math.random()
  if dice < 0.4 then return a_list() elseif dice < 0.8 then return a_get()
  elseif dice < 0.9 then return a_creation() else return a_change() end
end

request = ({list = a_list, list_304 = a_list, get = a_get, create = a_creation, update = a_change,
  mixed = a_mixture})[workload]

function done(summary, latency)
  local errors = summary.errors
  local sockets = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format('RESULT{"requests": %d, "microseconds": %d, "p50": %d, "p99": %d, "bytes": %d, "bad": %d}\n',
    summary.requests, summary.duration, latency:percentile(50), latency:percentile(99), summary.bytes,
    errors.status + sockets))
end
