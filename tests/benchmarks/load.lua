-- wrk's requests. WORKLOAD names their kind; CALLERS the file that callers.py writes, with a line for each user:
-- role, token, address of their tasks, address of a page of them, its ETag, ids, and a new task as JSON, between tabs.
local workload = os.getenv("WORKLOAD")
local lists, gets, creations, changes = {}, {}, {}, {}
local changed = 0

local function headers(token, more)
  local all = {["Authorization"] = "Bearer " .. token, ["Accept"] = "application/json"}
  for name, value in pairs(more or {}) do all[name] = value end
  return all
end

local function add_reads(caller)
  local condition = workload == "list_304" and {["If-None-Match"] = caller.etag} or nil
  lists[#lists + 1] = wrk.format("GET", caller.page, headers(caller.token, condition))
  for id in caller.ids:gmatch("[^,]+") do
    gets[#gets + 1] = wrk.format("GET", caller.tasks .. "/" .. id, headers(caller.token))
  end
end

local function add_creation(caller)
  local with_type = headers(caller.token, {["Content-Type"] = "application/json"})
  creations[#creations + 1] = wrk.format("POST", caller.tasks, with_type, caller.new)
end

-- A body of the same length each time, but with another title: a change that changes nothing might cost nothing.
local function body_of_change(number)
  return string.format('{"title": "changed title of a task %010d"}', number)
end

local function add_changes(caller)
  local with_type, body = headers(caller.token, {["Content-Type"] = "application/json"}), body_of_change(0)
  for id in caller.ids:gmatch("[^,]+") do
    local head = wrk.format("PATCH", caller.tasks .. "/" .. id, with_type, body)
    changes[#changes + 1] = head:sub(1, #head - #body)
  end
end

function init()
  -- The seconds alone would begin the titles of two short runs alike.
  local noise = io.open("/dev/urandom", "rb"):read(3)
  math.randomseed(noise:byte(1) + noise:byte(2) * 256 + noise:byte(3) * 65536)
  changed = math.random(2000000000)
  local add = {read = add_reads, change = add_changes, create = add_creation}
  for line in io.lines(os.getenv("CALLERS")) do
    local caller = {}
    caller.role, caller.token, caller.tasks, caller.page, caller.etag, caller.ids, caller.new =
      line:match(("([^\t]+)\t"):rep(6) .. "(.+)")
    add[caller.role](caller)
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
