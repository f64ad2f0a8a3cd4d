// A pool of connections. What lives on from turn to turn is how each is opened and who has it; a connection of a turn
// ends with it.
import { registry } from "elias/eiasw";

const SIZE = 2;

/** How long a connection is lent, in milliseconds. */
const LENT_MS = 60_000;

/** Who forgets to give a connection back has it taken away. */
const isLent = ({ until }) => until > Date.now();

registry.register("pool", {
  onStart: async (context) => {
    context.connections ??= Array.from({ length: SIZE }, (_, at) => {
      return { number: at + 1, address: `db-${at + 1}.example:5432`, uses: 0, until: 0 };
    });
  },
  onMessage: async ({ operation, number }, context) => {
    if (operation === "release") {
      const connection = context.connections.find((one) => one.number === number && isLent(one));
      if (connection === undefined) throw new RangeError(`the connection ${number} is not lent`);
      connection.until = 0;
      return undefined;
    }
    const connection = context.connections.find((one) => !isLent(one));
    if (connection === undefined) throw new RangeError("all connections are lent");
    connection.uses += 1;
    connection.until = Date.now() + LENT_MS;
    const { address, uses } = connection;
    return { number: connection.number, address, uses };
  },
  onStop: async (context) => {
    for (const connection of context.connections) connection.until = 0;
  },
});

/** POST /pool, and DELETE /pool/NUMBER. */
export async function pool(request, number) {
  const message = request.method === "DELETE" ? { operation: "release", number: Number(number) } : {};
  try {
    return Response.json((await registry.send("pool", message)) ?? null);
  } catch (error) {
    return Response.json({ error: error.message }, { status: 409 });
  }
}
