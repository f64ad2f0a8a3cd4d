-- Has wrk post an order of 2 KB, as JSON.
local items = {}
for i = 1, 19 do
  items[i] = string.format(
    '{"sku":"item-%04d","name":"Something that is sold, number %d","quantity":%d,"price":%d.25,"tags":["new"]}', i, i, i, i)
end
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
wrk.body = '{"customer":{"name":"Ada Lovelace","email":"ada@example.org"},"items":[' .. table.concat(items, ",") .. "]}"
