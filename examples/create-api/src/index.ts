// ELIAS.createAPI: endpoints with a handler each. There is no default export: the endpoints of a module are its component.
//
//     elias-build src/index.ts -o app.wasm && elias serve app.wasm
//     curl http://127.0.0.1:8787/rooms/blue
//     curl -X PUT -H 'content-type: application/json' -d '{"seats":4}' http://127.0.0.1:8787/rooms/blue
import { ELIAS, HttpError } from "elias";

interface Room {
  seats: number;
}

const rooms: Record<string, Room> = { red: { seats: 2 }, blue: { seats: 8 } };

function room(body: any): Room {
  if (!Number.isInteger(body?.seats) || body.seats < 1) throw new TypeError("seats is a positive integer");
  return { seats: body.seats };
}

ELIAS.createAPI({
  endpoint: "GET /rooms",
  handler: ({ query }) => Object.keys(rooms).filter((name) => rooms[name].seats >= Number(query.seats ?? 0)),
});

ELIAS.createAPI({
  endpoint: "GET /rooms/:name",
  handler({ params }) {
    const found = rooms[params.name];
    if (found === undefined) throw new HttpError(404, `room ${params.name} does not exist`, { code: "no-room" });
    return { name: params.name, ...found };
  },
});

ELIAS.createAPI({
  endpoint: "PUT /rooms/:name",
  body: room,
  handler: ({ params, body }) => Response.json({ name: params.name, ...body }, { status: params.name in rooms ? 200 : 201 }),
});
