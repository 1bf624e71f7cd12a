-- Something of each library: the parser, the collector, closures, errors (setjmp), coroutines, numbers, patterns.
local squares = {}
for i = 1, 10 do squares[#squares + 1] = i * i end
print(table.concat(squares, ","), math.sin(1), 7 // 2, 7 % -3, 2 ^ 53, 1e300 * 1e10)
print(select(2, pcall(function() error({ code = 42 }) end)).code)
print(pcall(error, "a message", 0))
print(select(2, pcall(function() local nothing; return nothing.field end)))
print(load("return 1 + ...")(1))

local walk = coroutine.wrap(function(first)
  for i = first, first + 2 do coroutine.yield(i) end
  return "done"
end)
print(walk(5), walk(), walk(), walk())

print(("%q %5.2f %x"):format("quo\"te\n", math.pi, 255), ("hello world"):gsub("o", "0"))
print(string.pack("<i4", -2):byte(1, -1), utf8.char(228, 8364), ("x"):rep(3, "-"))
table.sort(squares, function(a, b) return a % 7 < b % 7 or a % 7 == b % 7 and a < b end)
print(table.unpack(squares))

local weak = setmetatable({}, { __mode = "k" })
weak[{}] = true
collectgarbage()
print(next(weak), os.time({ year = 2001, month = 1, day = 1, hour = 12 }) ~= nil, type(io.write))
local closed = setmetatable({}, { __close = function() print("closed") end })
do local _ <close> = closed end
-- The pattern of a table's address is the same everywhere; the address is not.
print((tostring(closed):gsub("0x%x+", "ADDRESS")))
